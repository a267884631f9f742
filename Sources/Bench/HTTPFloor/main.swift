// The machine's floor for scripts/bench: a bare SwiftNIO HTTP/1.1 responder on one event loop that
// reads a request whole and answers with the bytes the daemon would. Usage: HTTPFloor PORT

import NIOCore
import NIOHTTP1
import NIOPosix

/// Answers writes and reads with the document of one row.
final class Responder: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private static let written = #"{"results":[{"last_insert_id":1000,"rows_affected":1}]}"#
    private static let read =
        #"{"results":[{"columns":["id","name"],"types":["integer","text"],"#
        + #""values":[[1000,"name of row 1000"]]}]}"#

    private var isWrite = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): isWrite = head.method == .POST
        case .body: break
        case .end:
            let body = context.channel.allocator.buffer(string: isWrite ? Self.written : Self.read)
            let headers: HTTPHeaders = [
                "Content-Type": "application/json; charset=utf-8",
                "Content-Length": "\(body.readableBytes)", "X-RQLITE-VERSION": "v0.1.0",
            ]
            let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

guard CommandLine.arguments.count == 2, let port = Int(CommandLine.arguments[1]) else {
    preconditionFailure("usage: HTTPFloor PORT")
}
let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
let channel = try await ServerBootstrap(group: group)
    .serverChannelOption(.backlog, value: 256)
    .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
    .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.configureHTTPServerPipeline()
            try channel.pipeline.syncOperations.addHandler(Responder())
        }
    }
    .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
    .bind(host: "127.0.0.1", port: port).get()
try await channel.closeFuture.get()
