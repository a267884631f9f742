/// What a file of `-cluster-secret-file` holds: a line for each secret that is accepted, the first of
/// which this node itself shows. A secret is a name, a dot and hexadecimal digits; the name says to the
/// other side which of its secrets is meant, and is no secret.
struct ClusterSecret: Equatable, Sendable {
    let name: String
    let key: [UInt8]

    /// In bits; less could be tried out.
    static let least = 128

    static func parse(_ text: String, path: String) throws(TLSFailure) -> [ClusterSecret] {
        var secrets: [ClusterSecret] = []
        for (place, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let line = line.filter { !$0.isWhitespace }
            if line.isEmpty || line.hasPrefix("#") { continue }
            do throws(TLSFailure) {
                secrets.append(try ClusterSecret(line))
            } catch {
                throw TLSFailure("\(path), line \(place + 1): \(error)")
            }
        }
        guard !secrets.isEmpty else {
            throw TLSFailure("\(path) holds no secret: rqlited secret makes one")
        }
        guard secrets.count <= 2 else {
            throw TLSFailure("\(path) holds \(secrets.count) secrets: two at most are accepted")
        }
        guard Set(secrets.map(\.name)).count == secrets.count else {
            throw TLSFailure("\(path): both secrets have the name \(secrets[0].name)")
        }
        return secrets
    }

    /// No error's text holds any of the line.
    private init(_ line: String) throws(TLSFailure) {
        let parts = line.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, parts[0].utf8.count <= 64 else {
            throw TLSFailure("a name, a dot and hexadecimal digits are expected")
        }
        let digits = Array(parts[1]).compactMap(\.hexDigitValue)
        guard digits.count == parts[1].count, digits.count % 2 == 0, digits.count <= 128 else {
            throw TLSFailure("behind the dot an even number of hexadecimal digits is expected")
        }
        guard digits.count * 4 >= Self.least, Set(digits).count >= 6 else {
            throw TLSFailure(
                "the secret has fewer than \(Self.least) random bits: rqlited secret makes one")
        }
        name = String(parts[0])
        key = stride(from: 0, to: digits.count, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }
}
