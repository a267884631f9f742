import Raft
import SQLite
import Testing
import Wire

@testable import StateMachine

/// Files that a later version of the program wrote. To take one for damaged would set it aside, on each node of
/// a cluster that is rolled back.
@Suite struct LaterVersionTests {
    private enum Change: CaseIterable {
        case table, decisions

        func make(_ connection: borrowing Connection) throws(SQLiteError) {
            switch self {
            case .table:
                try MetadataTable.prepare(
                    "UPDATE main.@ SET format = 2 WHERE id = 1", on: connection
                )
                .run()
            case .decisions:
                var writer = ByteWriter()
                Membership().encode(into: &writer)
                writer.write(UInt8(2))
                let update = try MetadataTable.prepare(
                    "UPDATE main.@ SET membership = ? WHERE id = 1", on: connection)
                try update.bind(writer.bytes, at: 1)
                try update.run()
            }
        }
    }

    @Test(arguments: Change.allCases)
    private func `A database of a later version is refused with both numbers, and is no damage`(
        change: Change
    ) throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let fault = #expect(throws: ApplyFault.self) {
            try database.copied(changing: { (connection) throws(SQLiteError) in
                try change.make(connection)
            })
        }
        guard case .unsupportedDatabase(let path, found: 2, supported: 1)? = fault else {
            Issue.record("\(String(describing: fault))")
            return
        }
        #expect(path.hasSuffix("db-2.sqlite"))
        #expect(fault?.isDamage == false)
        #expect(fault.map { "\($0)" }?.contains("start the newer program again") == true)
    }

    @Test(arguments: Change.allCases)
    private func `A snapshot of a later version is refused with both numbers`(change: Change) throws
    {
        let database = try Database()
        try database.applier.establish(
            cluster: ClusterID(RandomID(high: 7, low: 8)), membership: Membership())
        try database.execute("CREATE TABLE t(a)")
        let (bytes, mark) = try database.bytes()
        let other = try Database()
        let second = Generation(2)
        let path = other.databases.incomingFile(of: second)
        try bytes.write(to: path)
        try {
            let connection = try Connection(path: path, access: .readWrite)
            try change.make(connection)
        }()
        let error = #expect(throws: DirectoryError.self) {
            try other.databases.installSnapshot(
                as: second, mark: mark, cluster: ClusterID(RandomID(high: 7, low: 8)))
        }
        let text = error.map { "\($0)" } ?? "nothing"
        #expect(text.contains("format 2, this program reads 1"), "\(text)")
    }
}
