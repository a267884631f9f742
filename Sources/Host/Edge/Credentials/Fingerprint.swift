import CCrypt
import Rights

/// A keyed digest of a credential, by which one that was verified is known again without keeping its
/// text. The keys are the process's own and never leave it, so nobody can make two credentials meet;
/// it serves nothing that outlives the process.
struct Fingerprint: Hashable, Sendable {
    /// Two of Swift's keyed hashes (SipHash), each under 128 bits of its own.
    struct Key: Sendable {
        private let first: [UInt64]
        private let second: [UInt64]

        init() {
            var words = [UInt64](repeating: 0, count: 4)
            let result = ccrypt_random(&words, words.count * MemoryLayout<UInt64>.size)
            precondition(result == 0, "the system gives no random bytes")
            first = Array(words[..<2])
            second = Array(words[2...])
        }

        func fingerprint(_ credential: Credential) -> Fingerprint {
            func digest(_ key: [UInt64]) -> Int {
                var hasher = Hasher()
                hasher.combine(key)
                hasher.combine(credential)
                return hasher.finalize()
            }
            return Fingerprint(high: digest(first), low: digest(second))
        }
    }

    private let high: Int
    private let low: Int
}

/// Compares texts in a time that tells only their lengths.
func isEqual(_ left: String, _ right: String) -> Bool {
    let (left, right) = (Array(left.utf8), Array(right.utf8))
    var difference = left.count ^ right.count
    for place in left.indices {
        let other = right.isEmpty ? 0 : right[place % right.count]
        difference |= Int(left[place] ^ other)
    }
    return difference == 0
}
