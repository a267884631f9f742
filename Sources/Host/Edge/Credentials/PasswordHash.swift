import CCrypt

/// Hashes of passwords and tokens, as crypt(5) writes them. They take as long as they are meant to:
/// none belongs on an event loop.
package enum PasswordHash {
    /// How a hash is made.
    package enum Method: String, Sendable, CaseIterable {
        case yescrypt
        case bcrypt
        /// For what can't be guessed anyway, such as tokens.
        case sha256

        fileprivate var prefix: String {
            switch self {
            case .yescrypt: "$y$"
            case .bcrypt: "$2b$"
            case .sha256: "$5$"
            }
        }

        fileprivate var cost: UInt {
            switch self {
            case .yescrypt: 0
            case .bcrypt: 12
            case .sha256: 1000
            }
        }

        /// Bytes of a password beyond which the method looks at none.
        fileprivate var limit: Int { self == .bcrypt ? 72 : 511 }
    }

    /// Why there is no hash; for the operator.
    package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// Whether guesses can be compared with it.
    package static func isUsable(_ hash: String) -> Bool {
        !hash.utf8.contains(0) && ccrypt_is_usable(hash) == 1
    }

    /// Whether the text has the hash.
    package static func matches(_ text: String, _ hash: String) -> Bool {
        // C would see the part before a zero, and some hash the first 511 bytes alone.
        guard !text.utf8.contains(0), text.utf8.count <= 511 else { return false }
        return ccrypt_matches(text, hash) == 1
    }

    /// - Throws: `Failure` for a text that the method would look at in part.
    package static func make(_ text: String, _ method: Method) throws(Failure) -> String {
        guard !text.utf8.contains(0) else { throw Failure(description: "it holds a zero byte") }
        guard text.utf8.count <= method.limit else {
            throw Failure(
                description:
                    "\(method.rawValue) looks at the first \(method.limit) bytes alone, and "
                    + "it has \(text.utf8.count)")
        }
        var hash = [CChar](repeating: 0, count: Int(CCRYPT_HASH_SIZE))
        guard ccrypt_make(text, method.prefix, method.cost, &hash, hash.count) == 0 else {
            throw Failure(
                description: "this system's libcrypt can't make a \(method.rawValue) hash")
        }
        let bytes = hash.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Letters and digits with so many random bits at least.
    package static func secret(bits: Int) throws(Failure) -> String {
        var bytes = [UInt8](repeating: 0, count: (bits + 7) / 8)
        guard ccrypt_random(&bytes, bytes.count) == 0 else {
            throw Failure(description: "the system gives no random bytes")
        }
        let digits = Array("0123456789abcdef".utf8)
        let text = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}
