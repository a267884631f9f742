import Testing

@testable import TLS

/// The file of `-cluster-secret-file`.
@Suite struct ClusterSecretTests {
    private static let digits = "00112233445566778899aabbccddeeff"

    @Test func `Each line is a secret, and the first is the one that is shown`() throws {
        let text = "# made on Monday\n\n new.\(Self.digits) \nold.\(Self.digits)ff\n"
        let secrets = try ClusterSecret.parse(text, path: "f")
        #expect(secrets.map(\.name) == ["new", "old"])
        #expect(secrets[0].key == (0..<16).map { UInt8($0 * 17) })
        #expect(secrets[1].key.count == 17)
    }

    @Test(arguments: [
        "", "# nothing", "name", "name.", ".\(digits)", "name.\(digits.dropLast(2))",
        "name.\(digits)g0", "name.\(digits)0", "name.00000000000000000000000000000000",
        "a.\(digits)\na.\(digits)ff", "a.\(digits)\nb.\(digits)\nc.\(digits)",
    ])
    func `What is no secret, or too short for one, is refused without being repeated`(text: String)
        throws
    {
        let failure = #expect(throws: TLSFailure.self) {
            try ClusterSecret.parse(text, path: "f")
        }
        #expect(failure?.description.hasPrefix("f") == true)
        #expect(failure?.description.contains(Self.digits.prefix(8)) == false)
    }
}
