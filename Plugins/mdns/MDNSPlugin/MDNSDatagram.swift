import Glibc

/// What came in one datagram, and who sent it.
struct MDNSDatagram {
    let bytes: [UInt8]
    let sender: sockaddr_storage
    /// Of `sender`, in bytes.
    let size: socklen_t

    /// It did not come from the port of multicast DNS.
    var isLegacy: Bool {
        withUnsafeBytes(of: sender) {
            UInt16($0[2]) << 8 | UInt16($0[3]) != MDNSAddress.all4.port
        }
    }

    /// The next one at a socket that does not block; nil: there is none now.
    static func receive(from descriptor: Int32) -> MDNSDatagram? {
        var buffer = [UInt8](repeating: 0, count: MDNSMessage.mostBytes + 1)
        while true {
            var sender = sockaddr_storage()
            var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let count = withUnsafeMutablePointer(to: &sender) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(descriptor, &buffer, buffer.count, 0, $0, &size)
                }
            }
            // What was refused somewhere is told here; it says nothing of the others.
            if count < 0, errno == EINTR || errno == ECONNREFUSED { continue }
            guard count >= 0 else { return nil }
            return MDNSDatagram(bytes: Array(buffer.prefix(count)), sender: sender, size: size)
        }
    }
}
