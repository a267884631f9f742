internal import Glibc
internal import Raft
internal import Wire

/// Makes a database of a dump that is too large for an entry of the log: it is run, a few MiB at a
/// time, in an empty database under the rules for clients, as if a client had sent each piece.
///
/// Pieces end where a statement does. The transaction around a whole dump is left out, for nothing of
/// a dump that fails is kept; one within it must fit a piece. Virtual tables come last (`DumpedTables`).
struct LoadedDump {
    private let file: LoadFile
    private let scratch: DatabaseDirectory
    private let flag: LoadFlag
    /// Bytes that a piece has at least, unless it is the last.
    var pieceBytes = 4 << 20
    /// Bytes at the end that are run last, in one piece: the words that end a dump are among them.
    var lastBytes = 4096
    /// Bytes that one statement may have, and all rows of the schema that make virtual tables.
    var statementBytes = 64 << 20
    /// What the database leaves free of the disk, beside room for a copy of itself, in bytes.
    var spareBytes: UInt64 = 64 << 20

    /// What is made is named after the file, and lies beside it.
    /// - Parameter flag: ends it, between two pieces.
    init(of file: LoadFile, unless flag: LoadFlag = LoadFlag()) {
        self.file = file
        self.flag = flag
        scratch = DatabaseDirectory(path: "\(file.path)_dump")
    }

    /// - Returns: the path of the database, a temporary file for the caller to drop.
    func build() throws(LoadRefusal) -> String {
        guard mkdir(scratch.path, 0o700) == 0 || errno == EEXIST else {
            throw LoadRefusal(LoadFault.system("making \(scratch.path)", errno))
        }
        let path = scratch.file(of: .first)
        let target = "\(file.path)_made"
        defer {
            DatabaseDirectory.drop(path)
            DatabaseDirectory.drop(scratch.incomingFile(of: .first))
            rmdir(scratch.path)
        }
        do throws(DirectoryError) {
            DatabaseDirectory.drop(path)
            try scratch.create(.first)
        } catch {
            throw LoadRefusal(error)
        }
        try run(on: path)
        guard rename(path, target) == 0 else {
            throw LoadRefusal(LoadFault.system("moving \(path)", errno))
        }
        return target
    }

    private func run(on path: String) throws(LoadRefusal) {
        var runner = try Runner(on: path, sparing: spareBytes, rowBytes: statementBytes)
        var rest: [UInt8] = []
        var refusal: LoadRefusal?
        // How many bytes are looked at next.
        var enough = pieceBytes + lastBytes
        do throws(LoadFault) {
            try LoadFile.read(file.path) { part in
                do throws(LoadRefusal) {
                    if flag.isRaised { throw LoadRefusal(LoadFault.unwanted) }
                    rest += part
                    if rest.count >= enough { enough = try runPiece(of: &rest, by: &runner) }
                    return true
                } catch {
                    refusal = error
                    return false
                }
            }
        } catch {
            throw LoadRefusal(error)
        }
        if let refusal { throw refusal }
        try runner.run(rest, isLast: true)
        try runner.makeVirtualTables()
    }

    /// Runs the whole statements that `rest` begins with, and takes them off it.
    /// - Returns: with how many bytes it is to be looked at next.
    private func runPiece(of rest: inout [UInt8], by runner: inout Runner) throws(LoadRefusal)
        -> Int
    {
        if let end = self.end(of: rest) {
            try runner.run(Array(rest[..<end]), isLast: false)
            rest.removeFirst(end)
            return pieceBytes + lastBytes
        }
        guard rest.count <= statementBytes else {
            throw LoadRefusal(
                "the statement at line \(runner.line) has more than \(statementBytes) bytes")
        }
        // A long statement is looked at anew when there is twice as much of it.
        return min(2 * rest.count, statementBytes + 1)
    }

    /// Behind the last line at whose end all that stands before it is whole statements; nil: there
    /// is none.
    private func end(of bytes: [UInt8]) -> Int? {
        bytes.withUnsafeBytes {
            RequestScan.wholeLines(of: UnsafeRawBufferPointer(rebasing: $0.dropLast(lastBytes)))
        }
    }

    /// Runs one piece after the other.
    private struct Runner {
        private let applier: Applier
        private let spareBytes: UInt64
        private let rowBytes: Int
        /// At which the next piece begins, from 1.
        private(set) var line = 1
        /// The dump began a transaction, which is left out.
        private var hasBegun = false
        private var tables = DumpedTables()

        init(
            on path: String, sparing spareBytes: UInt64, rowBytes: Int
        ) throws(LoadRefusal) {
            self.spareBytes = spareBytes
            self.rowBytes = rowBytes
            do throws(ApplyFault) {
                applier = try Applier(path: path)
            } catch {
                throw LoadRefusal(unable: "\(error)")
            }
        }

        mutating func run(_ bytes: [UInt8], isLast: Bool) throws(LoadRefusal) {
            let first = line
            line += bytes.count { $0 == UInt8(ascii: "\n") }
            guard var text = String(validating: bytes, as: UTF8.self) else {
                throw LoadRefusal("lines \(first) to \(line): \(LoadReader.notUTF8)")
            }
            if isLast { text = LoadReader.withoutLastWord(text) }
            if first == 1, let begin = DumpTransaction.begin(of: text) {
                text.removeSubrange(begin)
                hasBegun = true
            }
            if isLast, hasBegun {
                // Each dump ends what it begins: one that was cut off between two statements lacks that alone.
                guard let end = DumpTransaction.end(of: text) else {
                    throw LoadRefusal(
                        "the dump begins a transaction, and no COMMIT ends it: it is not whole")
                }
                text.removeSubrange(end)
            }
            // Outside of a transaction they are refused where they stand.
            if hasBegun { text = tables.take(outOf: text) }
            guard tables.byteCount <= rowBytes else {
                throw LoadRefusal(
                    "what makes the virtual tables of the dump has more than \(rowBytes) bytes")
            }
            let failure = try apply(text)
            if let failure { throw LoadRefusal("lines \(first) to \(line): \(failure)") }
        }

        func makeVirtualTables() throws(LoadRefusal) {
            for command in tables.commands {
                if let failure = try apply(command) {
                    throw LoadRefusal("the virtual tables of the dump: \(failure)")
                }
            }
        }

        /// - Returns: what the text failed by.
        private func apply(_ text: String) throws(LoadRefusal) -> String? {
            let command = Command(
                kind: .execute, statements: [Statement(text)],
                transaction: RequestScan.fitsOneTransaction(text))
            let result: CommandResult?
            do throws(ApplyFault) {
                result = try applier.apply(alone: command)
                // All of it must stand in the main file at the end.
                _ = try applier.checkpoint()
            } catch {
                // No SQL of a dump can make that fail.
                guard case .diskFull = error else { throw LoadRefusal(unable: "\(error)") }
                throw Self.noRoom
            }
            try look()
            guard let result else { return "it has no result" }
            if let error = result.error { return error }
            if case .failed(let message)? = result.statements.last?.outcome { return message }
            return nil
        }

        private static let noRoom = LoadRefusal(
            tooLarge: "no room is left to make a database of the dump")

        /// What a client sends shall not fill the disk: room was kept for a copy of the dump, and its database
        /// may be larger.
        private func look() throws(LoadRefusal) {
            var file = stat()
            guard stat(applier.path, &file) == 0, let free = DiskRoom.bytes(at: applier.path)
            else { return }
            guard free >= UInt64(clamping: file.st_size) + spareBytes else { throw Self.noRoom }
        }
    }
}

/// The words with which a dump as a whole begins and ends its transaction: on a line of their own, with
/// nothing but comments and PRAGMAs before, or behind. What looks so and is part of a text is none.
enum DumpTransaction {
    private static let beginnings = ["BEGIN;", "BEGIN TRANSACTION;", "BEGIN IMMEDIATE;"]
    private static let ends = ["COMMIT;", "COMMIT TRANSACTION;", "END TRANSACTION;"]

    static func begin(of text: String) -> Range<String.Index>? {
        var start = text.startIndex
        while start < text.endIndex {
            let end = text.utf8[start...].firstIndex(of: UInt8(ascii: "\n")) ?? text.endIndex
            let line = words(text[start..<end])
            if beginnings.contains(line) {
                return isControl(start..<end, of: text) ? start..<end : nil
            }
            guard isBeside(line), end < text.endIndex else { return nil }
            start = text.utf8.index(after: end)
        }
        return nil
    }

    static func end(of text: String) -> Range<String.Index>? {
        var end = text.endIndex
        while true {
            let newline = text.utf8[..<end].lastIndex(of: UInt8(ascii: "\n"))
            let start = newline.map { text.utf8.index(after: $0) } ?? text.startIndex
            let line = words(text[start..<end])
            if ends.contains(line) {
                return isControl(start..<end, of: text) ? start..<end : nil
            }
            guard isBeside(line), let newline else { return nil }
            end = newline
        }
    }

    /// Nothing but comments and PRAGMAs may stand beside it.
    private static func isBeside(_ line: String) -> Bool {
        line.isEmpty || line.hasPrefix("--") || line.hasPrefix("PRAGMA ") && line.hasSuffix(";")
    }

    private static func isControl(_ range: Range<String.Index>, of text: String) -> Bool {
        var (all, others) = (RequestScan(), RequestScan())
        all.add(text)
        var rest = text
        rest.removeSubrange(range)
        others.add(rest)
        return all.controls.count == others.controls.count + 1
    }

    private static func words(_ line: Substring) -> String {
        line.uppercased().split { $0 == " " || $0 == "\t" || $0 == "\r" }.joined(separator: " ")
    }
}
