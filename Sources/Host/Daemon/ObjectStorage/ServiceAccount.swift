internal import CRemote
internal import JSON
internal import Telemetry

/// A service account of Google's, as its file of a key says: a short text that it signs gets a token,
/// which requests bear (RFC 7523).
struct ServiceAccount: Sendable {
    let email: String
    private let key: String
    private let keyID: String?
    let tokenURL: Endpoint

    private static let scope = "https://www.googleapis.com/auth/devstorage.read_write"
    private static let lifetime: Int64 = 3600

    /// - Throws: where the file can't be read, or is none of a service account.
    init(file path: String) throws(StorageFault) {
        let text = try SmallText.read(path)
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONValue(parsing: text)
        } catch {
            throw StorageFault("\(path) is no JSON: \(error)")
        }
        guard value["type"]?.string ?? "service_account" == "service_account",
            let email = value["client_email"]?.string, let key = value["private_key"]?.string,
            !key.isEmpty
        else {
            throw StorageFault(
                "\(path) is no key of a service account: client_email and private_key are needed")
        }
        self.email = email
        self.key = key
        keyID = value["private_key_id"]?.string
        let url = value["token_uri"]?.string ?? "https://oauth2.googleapis.com/token"
        tokenURL = try Endpoint(url, of: "token_uri of \(path)")
        guard tokenURL.isTLS || tokenURL.isLoopback else {
            throw StorageFault("token_uri of \(path) must begin with https://")
        }
        // What can't sign is found at the start, not at the first upload.
        if cremote_unavailable() == nil { _ = try signed("") }
    }

    /// The text that gets a token.
    /// - Parameter now: of the wall clock.
    func assertion(at now: WallTime) throws(StorageFault) -> String {
        var head: [JSONValue.Member] = [.init("alg", "RS256"), .init("typ", "JWT")]
        if let keyID { head.append(.init("kid", .string(keyID))) }
        let claims = JSONValue.object([
            .init("iss", .string(email)), .init("scope", .string(Self.scope)),
            .init("aud", .string(tokenURL.url)), .init("iat", .integer(now.seconds)),
            .init("exp", .integer(now.seconds + Self.lifetime)),
        ])
        let text = [JSONValue.object(head), claims]
            .map { Base64Writer.ofAddress(Array($0.text().utf8)) }.joined(separator: ".")
        return "\(text).\(Base64Writer.ofAddress(try signed(text)))"
    }

    private func signed(_ text: String) throws(StorageFault) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: 2048)
        let (key, bytes) = (Array(key.utf8), Array(text.utf8))
        let count = key.withUnsafeBytes { key in
            bytes.withUnsafeBytes {
                cremote_sign(
                    key.baseAddress, key.count, $0.baseAddress,
                    $0.count, &signature, 2048)
            }
        }
        guard count > 0 else {
            throw StorageFault("private_key of \(email) is no RSA key that can be read")
        }
        return Array(signature.prefix(count))
    }
}
