internal import CSQLite
package import Raft
internal import SQLite
package import Wire

/// Why entries could not be applied. Each is a failure of this node or of its version; none is ever an answer to a client.
package enum ApplyFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// Nothing of the open transaction was kept; the same entries can be applied again when there
    /// is room. So it is where no descriptor was left.
    case diskFull
    /// The file, or the memory, failed: the node must stop.
    case storage(operation: String, code: Int32, message: String)
    /// The entry was written by a newer program.
    case unsupportedEntry(LogIndex, found: UInt8, supported: UInt8)
    /// Another version of the program wrote the file at the path. It is sound, and stays as it is.
    case unsupportedDatabase(String, found: Int64, supported: Int64)
    case malformedEntry(LogIndex, String)
    /// The entry is not the one after the last applied.
    case gap(expected: LogIndex, found: LogIndex)
    /// The entry ended the process before. It is not applied before somebody decides.
    case suspected(PoisonSuspicion)
    /// All nodes leave the entry out from a place on, and this one had applied what stands there.
    /// Its database is another than theirs.
    case appliedSkipped(EntrySkip)

    package var description: String {
        switch self {
        case .diskFull:
            "the disk is full: the database takes no changes until there is room"
        case .storage(let operation, let code, let message):
            "\(operation) failed: \(message) (SQLite code \(code)). The node must stop; check the "
                + "disk, then restart it or rejoin it with an empty data directory"
        case .unsupportedEntry(let index, let found, let supported):
            "log entry \(index) has format version \(found), this program reads up to "
                + "\(supported): install the newer program on this node"
        case .unsupportedDatabase(let path, let found, let supported):
            "the database \(path) has format version \(found), this program reads \(supported)"
                + (found > supported ? ": start the newer program again" : "")
        case .malformedEntry(let index, let cause):
            "log entry \(index) can't be read: \(cause)"
        case .gap(let expected, let found):
            "log entry \(found) can't be applied, \(expected) is next"
        case .suspected(let suspicion):
            "\(suspicion). This node applies nothing more until it is told to try again, or until "
                + "the cluster decides to leave the entry out"
        case .appliedSkipped(let skip):
            "this node applied log entry \(skip.index), which the cluster decided to leave out: its "
                + "database must be replaced by that of another node"
        }
    }
}

extension ApplyFault {
    /// SQLite finds the database file damaged. Another node's can take its place.
    package var isDamage: Bool {
        guard case .storage(_, let code, _) = self else { return false }
        return code & 0xFF == SQLITE_CORRUPT || code & 0xFF == SQLITE_NOTADB
    }

    /// Why a file could not be opened, or memory was not to be had: another time it may be. Nil: the fault is
    /// another.
    package var passingCause: String? {
        guard case .storage(let operation, let code, let message) = self,
            [SQLITE_CANTOPEN, SQLITE_NOMEM].contains(code & 0xFF)
        else { return nil }
        return "\(operation) failed: \(message)"
    }

    /// A failure of an operation of our own, which no SQL of a client can make fail.
    static func storage(_ operation: String, _ error: SQLiteError) -> ApplyFault {
        error.code == SQLITE_FULL
            ? .diskFull
            : .storage(
                operation: operation, code: error.extendedCode, message: error.message)
    }

    /// What a failure while a client's SQL ran says about the machine; nil when it lies in the SQL,
    /// is the same on every node, and so may be an answer.
    /// - Parameter before: what the thread had met before the SQL ran.
    static func judging(
        _ error: SQLiteError, during operation: String, on connection: borrowing Connection,
        since before: Shortages
    ) -> ApplyFault? {
        switch error.code {
        case SQLITE_FULL:
            // An AUTOINCREMENT table at its last rowid says the same as a full disk.
            return before.hasFilledDisk ? .diskFull : nil
        case SQLITE_IOERR, SQLITE_CANTOPEN:
            // What a statement sorts and gathers goes to files, which wait for a descriptor as for room.
            return DiskRoom.mayPass(sqlite3_system_errno(connection.pointer))
                ? .diskFull : storage(operation, error)
        case SQLITE_CORRUPT:
            // SQLITE_CORRUPT_VTAB: a full-text or R*Tree index disagrees with its content, which a
            // client can bring about. SQLITE_CORRUPT_SEQUENCE: the table for AUTOINCREMENT is not
            // SQLite's, as in files that were loaded before that was looked for.
            return [SQLITE_CORRUPT | 1 << 8, SQLITE_CORRUPT | 2 << 8].contains(error.extendedCode)
                ? nil : storage(operation, error)
        case SQLITE_NOMEM:
            // Without a refusal of the system it is a value or a program that is too large for
            // SQLite, or a bound of ours.
            return before.hasLackedMemory ? storage(operation, error) : nil
        case SQLITE_NOTADB, SQLITE_MISUSE, SQLITE_PROTOCOL, SQLITE_BUSY, SQLITE_INTERNAL,
            SQLITE_READONLY, SQLITE_PERM:
            return storage(operation, error)
        default:
            return nil
        }
    }

    /// SQLite says of a schema that it can't parse what it says of a damaged file.
    static func isOfSchema(_ error: SQLiteError) -> Bool {
        error.extendedCode == SQLITE_CORRUPT && error.message.hasPrefix("malformed database schema")
    }
}
