import Foundation
import Testing

/// What docs/compatibility.md names in place of change data capture. That a reader which has all costs nothing is
/// shown by `CommitTokenTests`.
@Suite(.serialized) struct ChangeTableTests {
    private static let schema = [
        "CREATE TABLE item(id INTEGER PRIMARY KEY, name)",
        "CREATE TABLE noted(number INTEGER PRIMARY KEY AUTOINCREMENT, kind, id, name)",
        "CREATE TRIGGER made AFTER INSERT ON item BEGIN "
            + "INSERT INTO noted(kind, id, name) VALUES('insert', new.id, new.name); END",
        "CREATE TRIGGER changed AFTER UPDATE ON item BEGIN "
            + "INSERT INTO noted(kind, id, name) VALUES('update', new.id, new.name); END",
        "CREATE TRIGGER gone AFTER DELETE ON item BEGIN "
            + "INSERT INTO noted(kind, id, name) VALUES('delete', old.id, old.name); END",
    ]

    @Test(.timeLimit(.minutes(5)))
    func `Triggers note changes alike on all nodes, and a reader goes on behind the last it saw`()
        async throws
    {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(Self.schema)
        _ = try await leader.client.execute([
            "INSERT INTO item VALUES(7, 'a')", "UPDATE item SET name = 'b'", "DELETE FROM item",
        ])
        let question =
            "SELECT number || ' ' || kind || ' ' || id || name FROM noted WHERE number > "
        for node in cluster.nodes {
            try await eventually("node \(node.id) has the changes") {
                let rows = try await node.client.rows("\(question)0", level: "none")
                return rows.map { $0[0].string } == ["1 insert 7a", "2 update 7b", "3 delete 7b"]
                    ? true : nil
            }
            let next = try await node.client.rows("\(question)2", level: "none")
            #expect(next.map { $0[0].string } == ["3 delete 7b"])
        }
    }
}
