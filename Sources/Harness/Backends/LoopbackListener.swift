import Glibc
import Synchronization
import Threads

/// Accepts connections on one port of loopback, each on a thread of its own, and can be taken down,
/// with all that are open, and brought back.
final class LoopbackListener: Sendable {
    /// Called on the connection's thread; the connection ends when it returns. The number says
    /// between which two restarts it began, see `isUp`.
    typealias Serve = @Sendable (_ connection: Int32, _ generation: Int) -> Void

    private struct State {
        /// Closed by the thread that accepts on it: were it closed beneath that thread, its number
        /// could be another server's by the time of the next accept.
        var listener: Int32?
        var isAccepting = false
        var connections: Set<Int32> = []
        /// Counts restarts: what began before one is over.
        var generation = 0
    }

    let port: UInt16
    private let state: Mutex<State>

    /// On a port that is free.
    init() throws(BackendError) {
        let (listener, port) = try LoopbackSocket.open(.stream, port: 0)
        self.port = port
        state = Mutex(State(listener: listener))
    }

    var isUp: Bool { state.withLock { $0.listener != nil } }
    /// Of now.
    var generation: Int { state.withLock(\.generation) }

    func isUp(_ generation: Int) -> Bool {
        state.withLock { $0.generation == generation && $0.listener != nil }
    }

    /// Takes it down, if it is up; nothing of it is open then.
    func goDown() {
        let unused = state.withLock { state -> Int32? in
            guard let listener = state.listener else { return nil }
            state.listener = nil
            state.generation += 1
            // Wakes the threads, which close what is theirs.
            for connection in state.connections { shutdown(connection, Int32(SHUT_RDWR)) }
            guard state.isAccepting else { return listener }
            shutdown(listener, Int32(SHUT_RDWR))
            return nil
        }
        if let unused { close(unused) }
        while state.withLock(\.isAccepting) { CurrentThread.pause(milliseconds: 1) }
    }

    /// Brings it back, if it is down, on its port.
    func comeUp(_ serve: @escaping Serve) throws(BackendError) {
        guard !isUp else { return }
        let (listener, _) = try LoopbackSocket.open(.stream, port: port)
        state.withLock { $0.listener = listener }
        accept(serve)
    }

    /// Begins, after it was made.
    func accept(_ serve: @escaping Serve) {
        let (listener, generation) = state.withLock { state in
            state.isAccepting = state.listener != nil
            return (state.listener, state.generation)
        }
        guard let listener else { return }
        let didStart = BackendThread.start { [self] in
            while let connection = LoopbackSocket.accept(listener) {
                let didStart =
                    isWelcome(connection, generation)
                    && BackendThread.start { [self] in
                        serve(connection, generation)
                        finish(connection)
                    }
                if !didStart { finish(connection) }
            }
            endAccepting(listener)
        }
        if !didStart { endAccepting(listener) }
    }

    private func isWelcome(_ connection: Int32, _ generation: Int) -> Bool {
        state.withLock { state in
            guard state.generation == generation,
                state.connections.count < BackendLimits.connections
            else { return false }
            state.connections.insert(connection)
            return true
        }
    }

    private func endAccepting(_ listener: Int32) {
        state.withLock { state in
            close(listener)
            state.listener = nil
            state.isAccepting = false
        }
    }

    /// Another connection, whichever way it was made, that goes down with the rest.
    func adopt(_ connection: Int32) {
        state.withLock { _ = $0.connections.insert(connection) }
    }

    /// Closes it.
    func finish(_ connection: Int32) {
        state.withLock { state in
            state.connections.remove(connection)
            close(connection)
        }
    }
}
