import Wire

/// What is read is written so that it is read again, and then written the same: values can't be
/// compared, for some hold numbers that differ from themselves.
enum RoundTrip {
    /// Encodings may have fields that older ones lack.
    private static func limit(of count: Int) -> Int { 2 * count + 256 }

    static func check<Value>(
        _ bytes: [UInt8], decode: (inout ByteReader) throws(WireError) -> Value,
        encode: (Value, inout ByteWriter) -> Void
    ) throws(Complaint) {
        var reader = ByteReader(bytes)
        let value: Value
        do throws(WireError) { value = try decode(&reader) } catch { return }
        var writer = ByteWriter()
        encode(value, &writer)
        let once = writer.bytes
        try Complaint.unless(
            once.count <= limit(of: bytes.count),
            "\(bytes.count) bytes became \(once.count) of \(Value.self)")
        var again = ByteReader(once)
        let second: Value
        do throws(WireError) {
            second = try decode(&again)
            try again.expectEnd()
        } catch {
            throw Complaint("what \(Value.self) wrote can't be read: \(error)")
        }
        var rewriter = ByteWriter()
        encode(second, &rewriter)
        try Complaint.unless(rewriter.bytes == once, "\(value) is written in two ways")
    }

    /// Of what is read from an array to its end.
    static func check<Value>(
        whole bytes: [UInt8], decode: ([UInt8]) throws(WireError) -> Value,
        encode: (Value) -> [UInt8]
    ) throws(Complaint) {
        let value: Value
        do throws(WireError) { value = try decode(bytes) } catch { return }
        let once = encode(value)
        try Complaint.unless(
            once.count <= limit(of: bytes.count),
            "\(bytes.count) bytes became \(once.count) of \(Value.self)")
        let second: Value
        do throws(WireError) { second = try decode(once) } catch {
            throw Complaint("what \(Value.self) wrote can't be read: \(error)")
        }
        try Complaint.unless(encode(second) == once, "\(value) is written in two ways")
    }
}
