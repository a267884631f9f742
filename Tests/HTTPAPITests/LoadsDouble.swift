import Synchronization
import Wire

@testable import HTTPAPI

/// Takes what is to be loaded into memory, and notes what becomes of it.
final class LoadsDouble: Sendable {
    private struct State {
        var parts: [[UInt8]] = []
        var begun = 0
        var finished = 0
        var discarded = 0
        var abandoned = 0
        var removed = 0
    }

    private let state = Mutex(State())
    private let fault: @Sendable ([UInt8]) -> LoadContent?
    private let look: @Sendable ([UInt8]) -> LoadContent

    /// - Parameters:
    ///   - fault: says of the bytes up to now why nothing can become of them.
    ///   - look: at the whole body.
    init(
        fault: @escaping @Sendable ([UInt8]) -> LoadContent? = { _ in nil },
        _ look: @escaping @Sendable ([UInt8]) -> LoadContent
    ) {
        self.fault = fault
        self.look = look
    }

    /// Of all bodies, in the order in which they were taken.
    var parts: [[UInt8]] { state.withLock { $0.parts } }
    var begun: Int { state.withLock { $0.begun } }
    var finished: Int { state.withLock { $0.finished } }
    var discarded: Int { state.withLock { $0.discarded } }
    var abandoned: Int { state.withLock { $0.abandoned } }
    /// Files that were kept and that nobody holds any more.
    var removed: Int { state.withLock { $0.removed } }

    func begin() -> any LoadIntake {
        state.withLock { $0.begun += 1 }
        return Intake(self)
    }

    private final class Intake: LoadIntake {
        private let loads: LoadsDouble
        private let body = Mutex<[UInt8]>([])

        init(_ loads: LoadsDouble) { self.loads = loads }

        func add(_ part: [UInt8]) -> LoadContent? {
            loads.state.withLock { $0.parts.append(part) }
            let body = body.withLock { body in
                body += part
                return body
            }
            return loads.fault(body)
        }

        func finish() -> LoadContent {
            loads.state.withLock { $0.finished += 1 }
            let body = body.withLock { $0 }
            return loads.fault(body) ?? loads.look(body)
        }

        func keep() throws(KeptFileFault) -> any KeptFile {
            loads.state.withLock { $0.finished += 1 }
            let body = body.withLock { $0 }
            switch loads.fault(body) {
            case .unfit(let text): throw KeptFileFault(text: text)
            case .unable(let text): throw KeptFileFault(text: text, isOfNode: true)
            case .tooLarge(let text): throw KeptFileFault(text: text, isTooLarge: true)
            default: break
            }
            return MemoryFile(body) { [loads] in loads.state.withLock { $0.removed += 1 } }
        }

        func abandon() { loads.state.withLock { $0.abandoned += 1 } }

        func discard() { loads.state.withLock { $0.discarded += 1 } }
    }
}

/// A body that is kept in memory. Of the table "source" it has two rows.
final class MemoryFile: KeptFile {
    private let bytes: [UInt8]
    private let piece: Int
    private let onEnd: @Sendable () -> Void

    /// - Parameters:
    ///   - piece: bytes that are given at a time, at most.
    ///   - onEnd: called when nobody holds it any more.
    init(_ bytes: [UInt8], piece: Int = .max, onEnd: @escaping @Sendable () -> Void = {}) {
        self.bytes = bytes
        self.piece = piece
        self.onEnd = onEnd
    }

    deinit { onEnd() }

    func read(at offset: Int, _ count: Int) -> [UInt8]? {
        Array(bytes.dropFirst(offset).prefix(min(count, piece)))
    }

    func table(_ name: String) throws(KeptFileFault) -> any KeptTable {
        guard name == "source" else { throw KeptFileFault(text: "no table \(name)") }
        return Table()
    }

    private final class Table: KeptTable {
        let columns = ["a", "b\"c"]
        private var rows: [[Value]] = [[.integer(1), .blob([2])], [.null, .real(0.5)]]
        func next() throws(KeptFileFault) -> [Value]? { rows.isEmpty ? nil : rows.removeFirst() }
    }
}
