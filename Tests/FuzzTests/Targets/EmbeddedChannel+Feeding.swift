import NIOCore
import NIOEmbedded

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
}
