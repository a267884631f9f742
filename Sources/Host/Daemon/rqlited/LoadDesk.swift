import Raft
import StateMachine
import Synchronization
import Threads
import Wire

/// Looks at what clients want to load, one at a time: each may take a lot of memory and disk. On a
/// thread of its own, with a stack for SQL of any depth.
final class LoadDesk: Sendable {
    private let reader: LoadReader
    private let isTaken = Atomic<Bool>(false)

    /// - Parameter directory: the data directory.
    init(directory: String) {
        // The entry says more than the file.
        reader = LoadReader(
            directory: directory, packedBytes: RaftSettings().maxEntryBytes - 4096)
    }

    /// Waits for the thread.
    func read(_ body: UnsafeRawBufferPointer) -> LoadContent {
        guard !isTaken.exchange(true, ordering: .acquiring) else { return .busy }
        defer { isTaken.store(false, ordering: .releasing) }
        let content = Mutex(LoadContent.busy)
        let bytes = Bytes(body)
        do throws(ThreadShortage) {
            let thread = try NamedThread("load", stack: NamedThread.deepStack) { [reader] in
                let found = reader.read(bytes.bytes)
                content.withLock { $0 = found }
            }
            thread.join()
        } catch {
            return .unfit("\(error)")
        }
        return content.withLock { $0 }
    }

    /// `@unchecked Sendable`: the body outlives the thread, which is waited for.
    private struct Bytes: @unchecked Sendable {
        let bytes: UnsafeRawBufferPointer
        init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }
    }
}
