import Foundation
import JSON
import ServerTesting
import Telemetry
import Testing

@testable import ObjectStorage

struct ServiceAccountTests {
    private let directory: String

    init() throws {
        directory =
            FileManager.default.temporaryDirectory
            .appending(path: "rqd-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
    }

    private func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
        let path = "\(directory)/\(name)"
        try Data(bytes).write(to: URL(filePath: path))
        return path
    }

    private func account(
        key: String, _ more: [JSONValue.Member] = []
    ) throws -> ServiceAccount {
        let document = JSONValue.object(
            [.init("client_email", "me@example.org"), .init("private_key", .string(key))] + more)
        return try ServiceAccount(file: try write("key.json", document.text().utf8))
    }

    private func decoded(_ text: Substring) -> Data? {
        var text = text.replacing("-", with: "+").replacing("_", with: "/")
        while text.utf8.count % 4 != 0 { text += "=" }
        return Data(base64Encoded: String(text))
    }

    @Test
    func `What gets a token is signed so that OpenSSL verifies it, and says for whom and how long`()
        throws
    {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let (secret, open) = ("\(directory)/private.pem", "\(directory)/public.pem")
        try Program.run(
            ["openssl", "genpkey", "-algorithm", "RSA", "-out", secret])
        try Program.run(["openssl", "pkey", "-in", secret, "-pubout", "-out", open])
        let account = try account(
            key: try String(contentsOfFile: secret, encoding: .utf8),
            [.init("private_key_id", "k1"), .init("token_uri", "https://example.org/token")])
        let assertion = try account.assertion(at: .init(seconds: 1000))
        let parts = assertion.split(separator: ".")
        try #require(parts.count == 3)
        let head = try JSONValue(parsing: Array(try #require(decoded(parts[0]))))
        #expect(head["alg"] == "RS256" && head["kid"] == "k1")
        let claims = try JSONValue(parsing: Array(try #require(decoded(parts[1]))))
        #expect(claims["iss"] == "me@example.org" && claims["aud"] == "https://example.org/token")
        #expect(claims["iat"] == 1000 && claims["exp"] == 4600)
        let signature = try write("signature", try #require(decoded(parts[2])))
        let text = try write("text", "\(parts[0]).\(parts[1])".utf8)
        let verdict = try Program.run(
            ["openssl", "dgst", "-sha256", "-verify", open, "-signature", signature, text])
        #expect(verdict.contains("Verified OK"))
    }

    @Test func `A key that can't sign, or a file that is none of a key, is refused at once`() throws
    {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        #expect(throws: StorageFault.self) { try account(key: "no key") }
        #expect(throws: StorageFault.self) { try account(key: "") }
        let elliptic = "\(directory)/ec.pem"
        try Program.run([
            "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
            elliptic,
        ])
        #expect(throws: StorageFault.self) {
            try account(key: try String(contentsOfFile: elliptic, encoding: .utf8))
        }
        #expect(throws: StorageFault.self) {
            try ServiceAccount(file: try write("a", "[]".utf8))
        }
        #expect(throws: StorageFault.self) { try ServiceAccount(file: "\(directory)/none") }
        #expect(throws: StorageFault.self) {
            try account(key: "x", [.init("token_uri", "http://example.org/")])
        }
    }

    @Test func `Bytes are written as RFC 4648 says, without padding`() {
        let cases = [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")]
        for (text, expected) in cases {
            #expect(Base64Writer.ofAddress(Array(text.utf8)) == expected)
        }
        #expect(Base64Writer.ofAddress([0xFB, 0xFF, 0xFE]) == "-__-")
    }
}
