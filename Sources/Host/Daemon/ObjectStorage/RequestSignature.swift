internal import Notation

/// Who asks Amazon.
struct AWSCredentials: Equatable, Sendable {
    let id: String
    let secret: String
    /// Of credentials for a while.
    let token: String?
}

/// Version 4 of the signature of AWS's requests: what is asked for is written in one canonical way, and
/// hashed with a key that follows from the secret, the day, the region and the service.
struct RequestSignature {
    var method: String
    /// Encoded; at least `/`.
    var path: String
    /// Names and values, not encoded.
    var query: [(name: String, value: String)] = []
    /// All that are to be signed, `host` among them.
    var headers: [(name: String, value: String)]
    /// SHA-256 of the body, in hexadecimal digits.
    var payload: String
    /// `20130524T000000Z`
    var time: String
    var region: String
    var service = "s3"

    /// The value of `Authorization`.
    func authorization(_ credentials: AWSCredentials) throws(StorageFault) -> String {
        let key = try signingKey(credentials.secret)
        let signature = HexText.of(
            try ContentDigest.authenticate(try textToSign(), key: key))
        return "AWS4-HMAC-SHA256 Credential=\(credentials.id)/\(scope), "
            + "SignedHeaders=\(signedNames), Signature=\(signature)"
    }

    func signingKey(_ secret: String) throws(StorageFault) -> [UInt8] {
        var key = Array("AWS4\(secret)".utf8)
        for part in [day, region, service, "aws4_request"] {
            key = try ContentDigest.authenticate(part, key: key)
        }
        return key
    }

    func textToSign() throws(StorageFault) -> String {
        let request = [
            method, path, queryText, headerText, signedNames, payload,
        ].joined(separator: "\n")
        return "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n" + (try ContentDigest.hex(of: request.utf8))
    }

    private var day: String { String(time.prefix(8)) }
    private var scope: String { "\(day)/\(region)/\(service)/aws4_request" }

    private var sorted: [(name: String, value: String)] {
        headers.map { ($0.name.lowercased(), Self.trimmed($0.value)) }
            .sorted { Array($0.0.utf8).lexicographicallyPrecedes(Array($1.0.utf8)) }
    }

    private var signedNames: String { sorted.map(\.name).joined(separator: ";") }

    private var headerText: String {
        sorted.reduce(into: "") { $0 += "\($1.name):\($1.value)\n" }
    }

    /// As it is signed, which is a way to ask, too.
    var queryText: String {
        query.map { "\(PercentEncoding.encode($0.name))=\(PercentEncoding.encode($0.value))" }
            .sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
            .joined(separator: "&")
    }

    /// One blank for several, none at the ends.
    private static func trimmed(_ value: String) -> String {
        value.split(separator: " ").joined(separator: " ")
    }
}
