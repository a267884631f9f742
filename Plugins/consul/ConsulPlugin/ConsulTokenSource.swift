import PluginABI
package import PluginSupport
import Synchronization

/// The token of every request: a constant, or what stands in a file, which is read again when Consul
/// refuses what it held before. Something else may renew it there meanwhile.
package final class ConsulTokenSource: Sendable {
    private static let maxBytes = 4096

    private let constant: String
    private let file: String
    private let known: Mutex<String>

    /// - Parameter token: counts where the file is not named, or empty.
    package init(token: String, file: String) throws(CallFailure) {
        guard Self.isPrintable(token) else {
            throw CallFailure(RQD_CONFIG, "the token for Consul has blanks or control characters")
        }
        constant = token
        self.file = file
        known = Mutex("")
        let first = try read()
        known.withLock { $0 = first }
    }

    /// Empty: there is none.
    package var token: String { known.withLock { $0 } }

    /// What to try instead of a token that was refused; nil if there is no other.
    package func other(than refused: String) throws(CallFailure) -> String? {
        if file.isEmpty { return nil }
        let token = try read()
        known.withLock { $0 = token }
        return token == refused ? nil : token
    }

    private func read() throws(CallFailure) -> String {
        if file.isEmpty { return constant }
        let bytes: [UInt8]
        do {
            bytes = try SmallFile(file).contents(limit: Self.maxBytes)
        } catch {
            throw CallFailure(
                RQD_CONFIG, "the file of the token for Consul: \(file): \(error.what)")
        }
        let blanks: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
        let trimmed = bytes.drop { blanks.contains($0) }.reversed().drop { blanks.contains($0) }
        let text = String(decoding: Array(trimmed.reversed()), as: UTF8.self)
        guard Self.isPrintable(text) else {
            throw CallFailure(
                RQD_CONFIG, "the file of the token for Consul: \(file): not one line of ASCII text")
        }
        return text.isEmpty ? constant : text
    }

    /// It becomes the value of a header.
    private static func isPrintable(_ token: String) -> Bool {
        token.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
