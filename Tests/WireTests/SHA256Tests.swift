import Testing
import Wire

/// SHA-256 against the examples of its standard, and texts of every length around a block.
@Suite struct SHA256Tests {
    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `The examples of the standard come out`(text: String, sum: String) {
        #expect(Self.hex(SHA256.hash(Array(text.utf8))) == sum)
    }

    @Test func `A million bytes come out as the standard says`() {
        let sum = SHA256.hash([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000))
        #expect(
            Self.hex(sum) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func `In pieces it is the sum of the whole`() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for cut in 0...bytes.count {
            var sum = SHA256()
            sum.add(Array(bytes[..<cut]))
            sum.add(Array(bytes[cut...]))
            #expect(sum.finish() == SHA256.hash(bytes))
        }
    }
}
