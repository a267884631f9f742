import Glibc
import Synchronization
import Threads
import Time

/// A fake name server for A, AAAA, PTR and SRV, over UDP and TCP on one port. It is asked directly: it
/// knows its own names and says "no such name" to all others. Answers live 7 seconds.
///
/// Its misbehaviours, where DNS has its own words: `status:N` is the response code N (2 server
/// failure, 3 no such name, 5 refused); `html` and `garbage` are bytes that are no message;
/// `truncated` cuts the answer in the middle; `giant` has 4,000 addresses, by way of TCP; `dribble`
/// sends byte by byte over TCP and `slow:N` late, and both say over UDP that the answer has to be
/// fetched so; `reset` breaks the TCP connection, and over UDP is silence.
///
/// Commands: see `DNSZone.command`.
package final class FakeDNSServer: Backend {
    package static let kind = "dns"
    private static let giantCount = 4000
    private static let largestDatagram = 1232

    private struct State {
        /// Closed by the thread that reads it, see `LoopbackListener`.
        var datagrams: Int32?
        var isAnswering = true
        var plan = FaultPlan(.none)
        var requestCount = 0
    }

    private let listener: LoopbackListener
    private let zone = DNSZone()
    private let state: Mutex<State>

    package init() throws(BackendError) {
        // Another program may have the number for the other protocol.
        var last = BackendError("no port for a name server")
        for _ in 0..<16 {
            let listener = try LoopbackListener()
            do {
                let (datagrams, _) = try LoopbackSocket.open(.datagram, port: listener.port)
                self.listener = listener
                state = Mutex(State(datagrams: datagrams))
                listener.accept { [self] in serve($0, $1) }
                start(datagrams)
                return
            } catch {
                listener.goDown()
                last = error
            }
        }
        throw last
    }

    package var port: UInt16 { listener.port }
    package var url: String { "dns://127.0.0.1:\(port)" }
    package var requestCount: Int { state.withLock { $0.requestCount } }
    package func misbehave(_ plan: FaultPlan) { state.withLock { $0.plan = plan } }
    package func stop() { goDown() }

    package func command(_ arguments: [String]) throws(BackendError) -> String {
        try zone.command(arguments)
        return ""
    }

    package func goDown() {
        listener.goDown()
        state.withLock { state in
            // Wakes the reader although nothing is connected.
            if let datagrams = state.datagrams { shutdown(datagrams, Int32(SHUT_RDWR)) }
            state.datagrams = nil
        }
        while state.withLock(\.isAnswering) { CurrentThread.pause(milliseconds: 1) }
    }

    package func comeUp() throws(BackendError) {
        guard !listener.isUp else { return }
        let (datagrams, _) = try LoopbackSocket.open(.datagram, port: port)
        do {
            try listener.comeUp { [self] in serve($0, $1) }
        } catch {
            close(datagrams)
            throw error
        }
        state.withLock { state in
            state.datagrams = datagrams
            state.isAnswering = true
        }
        start(datagrams)
    }

    private func isUp(_ generation: Int) -> Bool { listener.isUp(generation) }

    private func start(_ datagrams: Int32) {
        let generation = listener.generation
        let didStart = BackendThread.start { [self] in
            answerDatagrams(datagrams, generation)
            end(datagrams)
        }
        if !didStart { end(datagrams) }
    }

    private func end(_ datagrams: Int32) {
        state.withLock { state in
            close(datagrams)
            state.datagrams = nil
            state.isAnswering = false
        }
    }

    // MARK: UDP

    private func answerDatagrams(_ socket: Int32, _ generation: Int) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while isUp(generation) {
            var sender = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let count = withUnsafeMutablePointer(to: &sender) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(socket, &buffer, buffer.count, 0, $0, &size)
                }
            }
            guard count > 0, isUp(generation) else {
                if count < 0, errno == EINTR || errno == ECONNREFUSED { continue }
                if count == 0, isUp(generation) { continue }
                return
            }
            guard let question = DNSMessage(Array(buffer.prefix(count))),
                let answer = datagram(question)
            else { continue }
            withUnsafePointer(to: &sender) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = sendto(socket, answer, answer.count, 0, $0, size)
                }
            }
        }
    }

    /// Nil: silence.
    private func datagram(_ question: DNSMessage) -> [UInt8]? {
        switch nextFault() {
        case .silent, .reset, .dropAfterExecution: return nil
        case .slow, .dribble, .giant:
            return question.answer([], code: 0, flags: DNSMessage.truncatedFlag)
        case .status(let code): return question.answer([], code: code)
        case .html, .garbage: return Self.garbage
        case .truncated:
            let answer = answer(question)
            return Array(answer.prefix(answer.count * 2 / 3))
        case .none:
            let answer = answer(question)
            return answer.count <= Self.largestDatagram
                ? answer : question.answer([], code: 0, flags: DNSMessage.truncatedFlag)
        }
    }

    private func nextFault() -> Fault {
        state.withLock { state in
            state.requestCount += 1
            return state.plan.next()
        }
    }

    private func answer(_ question: DNSMessage) -> [UInt8] {
        let found = zone.answers(to: question.name, type: question.type)
        return question.answer(found ?? [], code: found == nil ? 3 : 0)
    }

    private static let garbage = (0..<64).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }

    // MARK: TCP

    /// Messages with their length, of two bytes, before them.
    private func serve(_ connection: Int32, _ generation: Int) {
        var buffer: [UInt8] = []
        while isUp(generation) {
            while buffer.count < 2 || buffer.count < 2 + Int(buffer[0]) << 8 + Int(buffer[1]) {
                let bytes = LoopbackSocket.receive(from: connection)
                guard !bytes.isEmpty else { return }
                buffer += bytes
            }
            let end = 2 + Int(buffer[0]) << 8 + Int(buffer[1])
            guard let question = DNSMessage(Array(buffer[2..<end])),
                respond(to: question, on: connection, generation)
            else { return }
            buffer.removeFirst(end)
        }
    }

    private func respond(
        to question: DNSMessage, on connection: Int32, _ generation: Int
    ) -> Bool {
        func framed(_ message: [UInt8]) -> [UInt8] {
            DNSMessage.word(UInt16(clamping: message.count)) + message
        }
        let isOver = { [self] in !isUp(generation) || LoopbackSocket.isOver(connection) }
        switch nextFault() {
        case .none: return LoopbackSocket.send(framed(answer(question)), to: connection)
        case .silent, .dropAfterExecution:
            while !isOver() {
                CurrentThread.pause(milliseconds: BackendLimits.tickMilliseconds)
            }
        case .slow(let seconds):
            let due = MonotonicTime.now.nanoseconds + UInt64(seconds) * 1_000_000_000
            while MonotonicTime.now.nanoseconds < due, !isOver() {
                CurrentThread.pause(milliseconds: BackendLimits.tickMilliseconds)
            }
            return LoopbackSocket.send(framed(answer(question)), to: connection)
        case .dribble:
            for byte in framed(answer(question)) {
                guard !isOver(), LoopbackSocket.send([byte], to: connection) else { break }
                CurrentThread.pause(milliseconds: BackendLimits.dribbleMilliseconds)
            }
        case .reset: LoopbackSocket.makeReset(connection)
        case .status(let code):
            return LoopbackSocket.send(framed(question.answer([], code: code)), to: connection)
        case .html, .garbage: _ = LoopbackSocket.send(Self.garbage, to: connection)
        case .truncated:
            let answer = framed(answer(question))
            _ = LoopbackSocket.send(answer.prefix(answer.count * 2 / 3), to: connection)
        case .giant:
            let many = (0..<Self.giantCount).map {
                DNSZone.Data.address4([10, 1, UInt8($0 >> 8), UInt8($0 & 255)])
            }
            let data = question.type == 1 ? many : []
            return LoopbackSocket.send(framed(question.answer(data, code: 0)), to: connection)
        }
        return false
    }
}
