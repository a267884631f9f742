internal import Gzip
internal import Synchronization
package import Wire

/// What a client wants to load, while it comes: its parts go into a file, unpacked where they are
/// packed, so that memory holds one of them at a time.
///
/// The first bytes tell what is packed. A fault stays: of what follows it nothing is kept, and the
/// end tells it again. The file is gone after `finish` and `discard`, and with the object. Calls
/// wait for the disk; thread-safe.
package final class LoadUpload: Sendable {
    fileprivate struct State {
        /// The first bytes, as long as they are too few to tell what comes.
        var start: [UInt8] = []
        var file: LoadFile?
        /// Of a body that is packed.
        var stream: Stream?
        var refusal: LoadRefusal?
        /// Nothing is taken any more.
        var isOver = false
    }

    fileprivate final class Stream {
        // The disk's room is the bound.
        var reader = GzipReader(limit: .max)
    }

    private let reader: LoadReader
    private let state = Mutex(State())
    /// Not behind the lock, which whoever looks at the body holds.
    private let flag = LoadFlag()
    /// Of what `keep` returned, which outlives this.
    private let keptFlag = LoadFlag()

    init(_ reader: LoadReader) { self.reader = reader }

    deinit { discard() }

    /// The next bytes.
    /// - Returns: nil when they are in the file, else `tooLarge`, `unfit` or `unable`.
    package func add(_ part: [UInt8]) -> LoadContent? {
        let reader = reader
        return state.withLock { state -> LoadContent? in
            guard !state.isOver, state.refusal == nil else { return state.refusal?.content }
            do throws(LoadRefusal) {
                try state.add(part, isLast: false, reader)
                return nil
            } catch {
                state.refuse(error)
                return error.content
            }
        }
    }

    /// All of the body has come: what it is. On a thread with a deep stack, for SQL is read here.
    package func finish() -> LoadContent {
        let (reader, flag) = (reader, flag)
        return state.withLock { state -> LoadContent in
            defer { state.end() }
            if let refusal = state.refusal { return refusal.content }
            do throws(LoadRefusal) {
                try state.add([], isLast: true, reader)
                guard let file = state.file else { return LoadReader.sql([]) }
                return try reader.content(of: file, unless: flag)
            } catch {
                return error.content
            }
        }
    }

    /// All of the body has come, and is read as it is, unpacked.
    /// - Throws: `KeptUploadFault` where nothing can become of it.
    package func keep() throws(KeptUploadFault) -> KeptUpload {
        let (reader, flag) = (reader, keptFlag)
        let result = state.withLock { state -> Result<KeptUpload, KeptUploadFault> in
            defer { state.end() }
            if let refusal = state.refusal { return .failure(KeptUploadFault(refusal)) }
            do throws(LoadRefusal) {
                try state.add([], isLast: true, reader)
                guard let path = state.takePath() else {
                    return .failure(KeptUploadFault(text: "there is nothing to import"))
                }
                return .success(KeptUpload(path: path, unless: flag))
            } catch {
                return .failure(KeptUploadFault(error))
            }
        }
        return try result.get()
    }

    /// It is not wanted any more.
    package func discard() {
        flag.raise()
        state.withLock { $0.end() }
    }

    /// Nobody waits any more for what `finish` says, or for a table of what `keep` returned: either ends soon, and
    /// as unfit. Never blocks.
    package func abandon() {
        flag.raise()
        keptFlag.raise()
    }
}

extension LoadUpload.State {
    fileprivate mutating func add(
        _ part: [UInt8], isLast: Bool, _ reader: LoadReader
    ) throws(LoadRefusal) {
        var part = part
        if file == nil {
            start += part
            guard start.count >= 2 || isLast && !start.isEmpty else { return }
            part = start
            start = []
            file = try reader.file()
            if GzipReader.recognises(part.prefix(2)) { stream = LoadUpload.Stream() }
        }
        guard let file else { return }
        do throws(LoadFault) {
            if let stream {
                try stream.reader.add(part, into: file)
                if isLast {
                    do throws(GzipError) { try stream.reader.end() } catch { throw .gzip(error) }
                }
            } else {
                try file.write(part)
            }
        } catch {
            throw LoadRefusal(error)
        }
    }

    /// The file is the caller's from here on.
    fileprivate mutating func takePath() -> String? {
        defer { file = nil }
        return file?.path
    }

    fileprivate mutating func refuse(_ refusal: LoadRefusal) {
        end()
        self.refusal = refusal
    }

    fileprivate mutating func end() {
        isOver = true
        start = []
        stream = nil
        if let file { DatabaseDirectory.drop(file.path) }
        file = nil
    }
}
