import Foundation
import ServerTesting
import Testing

/// Every operation of the API with every right, over HTTP, HTTPS, and HTTPS with clients' certificates. The
/// rows are those of docs/http-api.md, which is compared with the table of the program: what is new there is
/// tried here by itself.
@Suite(.serialized) struct CredentialMatrixTests {
    /// What clients' connections are encrypted by.
    enum Encryption: String, CaseIterable { case none, https, certificates }

    private struct Request {
        var method: String
        var path: String
        var body: String?
        var permissions: Set<String>
    }

    /// With each of these: what a node answers by itself, and what it sends on.
    private static let queries = [
        "execute": ["", "?queue", "?queue&wait"],
        "query": ["strong", "weak", "none"].map { "?level=\($0)&q=SELECT%201" },
        "request": ["?level=strong"],
    ]

    /// Where not everything will do that is refused for its form, once the right is there.
    private static let bodies = [
        "execute": #"["CREATE TABLE IF NOT EXISTS t(x)"]"#, "query": #"["SELECT 1"]"#,
        "request": #"["SELECT 1"]"#, "change limits": #"{"steps":1000000000}"#,
        "remove": #"{"id":"nobody"}"#,
    ]

    /// What `-auth-open` leaves to everybody.
    private static let open: Set<String> = ["ready"]

    private static func requests() throws -> [Request] {
        let document = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "docs/http-api.md")
        let text = try String(contentsOf: document, encoding: .utf8)
        let start = try #require(text.range(of: "|---|---|---|---|---|---|\n")).upperBound
        let end = try #require(text.range(of: "<!-- end of operations -->")).lowerBound
        return text[start..<end].split(separator: "\n").flatMap { line -> [Request] in
            let cells = line.components(separatedBy: " | ").map {
                $0.trimmingCharacters(in: CharacterSet(charactersIn: "| "))
            }
            guard cells.count == 6 else { return [] }
            // What stands between backticks.
            func words(_ cell: String) -> [String] {
                cell.components(separatedBy: "`").enumerated().filter { $0.offset % 2 == 1 }
                    .map(\.element)
            }
            let methods = cells[1] == "any" ? ["GET"] : cells[1].components(separatedBy: ", ")
            // What is below a path of another row begins behind it.
            let path = words(cells[2])[0].replacingOccurrences(
                of: "…", with: text.contains(" | `\(words(cells[2])[0].dropLast())` | ") ? "/" : "")
            return methods.flatMap { method in
                (queries[cells[0]] ?? [""]).map { query in
                    Request(
                        method: method, path: path + query,
                        body: ["GET", "HEAD"].contains(method) ? nil : bodies[cells[0]] ?? "x",
                        permissions: Set(words(cells[3])).subtracting(open))
                }
            }
        }
    }

    /// Nodes, and what speaks to them.
    private struct Place {
        let directory: TestDirectory
        let scheme: String
        let options: String

        /// - Parameter user: nil: nobody.
        func statuses(
            _ requests: [Request], at node: Daemon, as user: String?, password: String? = nil
        ) throws -> [Int] {
            let text = requests.map { request in
                var lines = [
                    "url = \"\(scheme)://\(node.host):\(node.httpPort)\(request.path)\"",
                    request.method == "HEAD" ? "head" : "request = \(request.method)",
                    "output = /dev/null", "write-out = \"%{http_code}\\n\"", "max-time = 60",
                    "silent", "header = \"Content-Type: application/json\"", options,
                ]
                if let user { lines.append("user = \"\(user):\(password ?? "pw-\(user)")\"") }
                if let body = request.body {
                    let escaped = body.replacingOccurrences(of: "\"", with: "\\\"")
                    lines.append("data-binary = \"\(escaped)\"")
                }
                return lines.joined(separator: "\n")
            }.joined(separator: "\nnext\n")
            let file = "\(directory.path)/requests"
            try text.write(toFile: file, atomically: true, encoding: .utf8)
            let output = try Program.run(["curl", "-K", file])
            let statuses = output.split(separator: "\n").compactMap { Int($0) }
            try #require(statuses.count == requests.count, "\(output)")
            return statuses
        }

        func leader(_ cluster: TestCluster) async throws -> Daemon {
            try await eventually("a leader", within: .seconds(60)) {
                var names: Set<String> = []
                for node in cluster.nodes {
                    let file = "\(directory.path)/question"
                    let url = "url = \"\(scheme)://\(node.host):\(node.httpPort)/status\""
                    try "\(url)\nuser = \"root:pw-root\"\nsilent\nmax-time = 5\n\(options)\n"
                        .write(toFile: file, atomically: true, encoding: .utf8)
                    let text = try Program.run(["curl", "-K", file])
                    let status = JSON(try JSONSerialization.jsonObject(with: Data(text.utf8)))
                    names.insert(status["store"]["leader"]["node_id"].string ?? "")
                }
                guard names.count == 1 else { return nil }
                return cluster.nodes.first { names.contains($0.id) }
            }
        }
    }

    private func place(
        _ encryption: Encryption, _ authority: CertificateAuthority, _ directory: TestDirectory
    ) -> (Place, arguments: [String]) {
        guard encryption != .none else {
            return (Place(directory: directory, scheme: "http", options: ""), [])
        }
        var options = "cacert = \"\(authority.certificate)\""
        var arguments = [
            "-http-cert", authority.server.certificate, "-http-key", authority.server.key,
        ]
        if encryption == .certificates {
            options += "\ncert = \"\(authority.client.certificate)\""
            options += "\nkey = \"\(authority.client.key)\""
            arguments += ["-http-ca-cert", authority.certificate, "-http-verify-client"]
        }
        return (Place(directory: directory, scheme: "https", options: options), arguments)
    }

    @Test(.timeLimit(.minutes(15)), arguments: Encryption.allCases)
    func
        `Each right opens its operations and no other, on the leader, on a follower and through it`(
            encryption: Encryption
        ) async throws
    {
        let requests = try Self.requests()
        try #require(requests.count > 30)
        let permissions = requests.reduce(into: Set(["join"])) { $0.formUnion($1.permissions) }
            .sorted()
        let users =
            permissions.map { ($0, [$0]) } + [("root", ["all"]), ("both", ["execute", "query"])]
        let entries = users.map { name, permissions in
            let words = permissions.map { "\"\($0)\"" }.joined(separator: ",")
            return #"{"username":"\#(name)","password":"pw-\#(name)","perms":[\#(words)]}"#
        }
        let directory = try TestDirectory()
        let file = "\(directory.path)/users.json"
        try "[\(entries.joined(separator: ","))]"
            .write(toFile: file, atomically: true, encoding: .utf8)
        let authority = try CertificateAuthority()
        let (place, arguments) = place(encryption, authority, directory)
        let cluster = try TestCluster.joined(
            3,
            arguments: arguments + ["-auth", file, "-auth-open", "ready", "-join-as", "root"])
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await place.leader(cluster)
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })
        for node in [leader, follower] {
            for (user, granted) in users.map({ ($0, Set($1)) }) + [("", [])] {
                let statuses = try place.statuses(
                    requests, at: node, as: user.isEmpty ? nil : user)
                for (request, status) in zip(requests, statuses) {
                    let mayDo = user == "root" || request.permissions.isSubset(of: granted)
                    #expect(
                        (status != 401) == mayDo && status >= 200,
                        "\(user) \(status) \(node.id) \(request.method) \(request.path)")
                }
            }
            // Few, for who guesses has to wait.
            let guarded = requests.filter { !$0.permissions.isEmpty }.prefix(4)
            let statuses = try place.statuses(
                Array(guarded), at: node, as: "root", password: "pw-Root")
            #expect(statuses.allSatisfy { $0 == 401 }, "\(statuses)")
        }
    }
}
