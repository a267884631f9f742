import NIOCore

extension ChannelHandlerContext {
    /// Closes when that has been written; where a time is given, this side alone, and the other one after
    /// that time at the latest: so who may still be sending gets to read what was written.
    func close(after flushed: EventLoopFuture<Void>, lingering time: TimeAmount?) {
        // Not what its handler knows of it: that may be on its way out.
        let context = self
        flushed.assumeIsolated().whenComplete { _ in
            guard let time else {
                context.close(promise: nil)
                return
            }
            context.close(mode: .output).assumeIsolated().whenFailure { _ in
                context.close(promise: nil)
            }
            context.eventLoop.assumeIsolated().scheduleTask(in: time) {
                context.close(promise: nil)
            }
        }
    }
}
