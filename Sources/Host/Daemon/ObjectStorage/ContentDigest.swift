internal import CRemote

/// SHA-256 of bytes that come by and by, by the system's libcrypto. Belongs to one thread.
package final class ContentDigest {
    private var state: OpaquePointer?

    /// - Throws: `StorageFault` where the library is not there.
    package init() throws(StorageFault) {
        state = cremote_digest_begin()
        if state == nil {
            throw StorageFault(
                "no SHA-256: " + (cremote_unavailable().map { String(cString: $0) } ?? "no memory"))
        }
    }

    deinit { if let state { cremote_digest_end(state, nil) } }

    /// The next bytes.
    package func add(_ bytes: UnsafeRawBufferPointer) {
        if let state { cremote_digest_add(state, bytes.baseAddress, bytes.count) }
    }

    /// Of all bytes, in 64 lower-case digits. Once.
    package func finish() throws(StorageFault) -> String {
        var output = [UInt8](repeating: 0, count: 32)
        guard let state, cremote_digest_end(state, &output) == 1 else {
            throw StorageFault("SHA-256 failed")
        }
        self.state = nil
        return HexText.of(output)
    }

    static func hex(of bytes: some Sequence<UInt8>) throws(StorageFault) -> String {
        let digest = try ContentDigest()
        Array(bytes).withUnsafeBytes { digest.add($0) }
        return try digest.finish()
    }

    /// HMAC-SHA-256 (RFC 2104).
    static func authenticate(
        _ text: String, key: [UInt8]
    ) throws(StorageFault) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: 32)
        let bytes = Array(text.utf8)
        let isDone = key.withUnsafeBytes { key in
            bytes.withUnsafeBytes {
                cremote_hmac(key.baseAddress, key.count, $0.baseAddress, $0.count, &output)
            }
        }
        guard isDone == 1 else { throw StorageFault("HMAC-SHA-256 failed") }
        return output
    }
}
