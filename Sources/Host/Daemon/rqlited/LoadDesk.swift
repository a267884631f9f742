import HTTPAPI
import Raft
import StateMachine
import Synchronization
import Threads
import Wire

/// Takes what clients want to load into files, and looks at what is whole, one at a time: each may
/// take a lot of memory and disk. On a thread of its own, with a stack for SQL of any depth.
final class LoadDesk: Sendable {
    private let reader: LoadReader
    private let isTaken = Atomic<Bool>(false)

    /// - Parameter directory: the data directory.
    init(directory: String) {
        // The entry says more than the file.
        reader = LoadReader(
            directory: directory, packedBytes: RaftSettings().maxEntryBytes - 4096,
            newID: {
                LoadID(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
            })
    }

    /// For a body that comes in parts. Never blocks.
    func begin() -> any LoadIntake { Intake(upload: reader.begin(), desk: self) }

    /// Waits for the thread.
    private func look(at upload: LoadUpload) -> LoadContent {
        guard !isTaken.exchange(true, ordering: .acquiring) else {
            upload.discard()
            return .busy
        }
        defer { isTaken.store(false, ordering: .releasing) }
        let content = Mutex(LoadContent.busy)
        do throws(ThreadShortage) {
            let thread = try NamedThread("load", stack: NamedThread.deepStack) {
                let found = upload.finish()
                content.withLock { $0 = found }
            }
            thread.join()
        } catch {
            upload.discard()
            return .unable("\(error)")
        }
        return content.withLock { $0 }
    }

    private final class Intake: LoadIntake {
        private let upload: LoadUpload
        private let desk: LoadDesk

        init(upload: LoadUpload, desk: LoadDesk) {
            self.upload = upload
            self.desk = desk
        }

        func add(_ part: [UInt8]) -> LoadContent? { upload.add(part) }
        func finish() -> LoadContent { desk.look(at: upload) }
        func abandon() { upload.abandon() }
        func discard() { upload.discard() }

        func keep() throws(KeptFileFault) -> any KeptFile {
            do throws(KeptUploadFault) {
                return File(try upload.keep())
            } catch {
                throw KeptFileFault(error)
            }
        }
    }

    private final class File: KeptFile {
        private let upload: KeptUpload
        init(_ upload: KeptUpload) { self.upload = upload }

        func read(at offset: Int, _ count: Int) -> [UInt8]? { upload.read(at: offset, count) }

        func table(_ name: String) throws(KeptFileFault) -> any KeptTable {
            do throws(KeptUploadFault) {
                return Table(try upload.table(name), of: upload)
            } catch {
                throw KeptFileFault(error)
            }
        }
    }

    private final class Table: KeptTable {
        private let table: ImportTable
        /// Its file is there as long as it is.
        private let upload: KeptUpload

        init(_ table: ImportTable, of upload: KeptUpload) {
            self.table = table
            self.upload = upload
        }

        var columns: [String] { table.columns }

        func next() throws(KeptFileFault) -> [Value]? {
            do throws(KeptUploadFault) {
                return try table.next()
            } catch {
                throw KeptFileFault(error)
            }
        }
    }
}

extension KeptFileFault {
    fileprivate init(_ fault: KeptUploadFault) {
        self.init(text: fault.text, isOfNode: fault.isOfNode, isTooLarge: fault.isTooLarge)
    }
}
