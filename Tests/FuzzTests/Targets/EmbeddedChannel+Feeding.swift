import NIOCore
import NIOEmbedded

@testable import HTTPAPI

extension EmbeddedChannel {
    /// The bytes come in pieces of a size, for as long as the channel is open.
    func feed(_ bytes: [UInt8], piece: Int) {
        var rest = bytes[...]
        while !rest.isEmpty, isActive {
            // What is thrown is what the pipeline's end has made of it already.
            _ = try? writeInbound(ByteBuffer(bytes: rest.prefix(piece)))
            embeddedEventLoop.run()
            rest = rest.dropFirst(piece)
        }
    }

    /// A client's connection, before its first byte.
    static func connected(to server: HTTPServer) throws(Complaint) -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        do {
            try server.configure(channel).wait()
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        } catch {
            throw Complaint("no connection: \(error)")
        }
        return channel
    }
}
