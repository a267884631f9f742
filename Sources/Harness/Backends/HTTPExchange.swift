import Threads

/// One request on its connection, for handlers that take their time. Used on the connection's own
/// thread only.
package struct HTTPExchange {
    let connection: Int32
    let isServerUp: () -> Bool

    /// Whether nobody waits for the answer any more. To be asked at the least every 50 ms by whoever
    /// holds an answer back.
    package var isOver: Bool { !isServerUp() || LoopbackSocket.isOver(connection) }

    /// Sends one chunk of a stream. False when it can't be: then return.
    package func write(_ bytes: [UInt8]) -> Bool {
        guard !bytes.isEmpty else { return !isOver }
        let size = String(bytes.count, radix: 16)
        return isServerUp()
            && LoopbackSocket.send(
                Array("\(size)\r\n".utf8) + bytes + Array("\r\n".utf8), to: connection)
    }

    /// Waits a moment; for loops that look for a change.
    package func pause() { CurrentThread.pause(milliseconds: BackendLimits.tickMilliseconds) }
}
