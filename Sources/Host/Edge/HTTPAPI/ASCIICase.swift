/// Letter case of ASCII alone, as HTTP has it for names of fields, and SQLite for those of columns.
extension UInt8 {
    /// A letter A to Z in lower case; any other byte as it is.
    var loweredASCII: UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self
    }
}
