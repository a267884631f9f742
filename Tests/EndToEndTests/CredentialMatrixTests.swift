import Foundation
import ServerTesting
import Testing

/// Every operation of the API with every right, over HTTP, HTTPS, HTTPS with clients' certificates, and a
/// Unix socket; and through a node that grants everybody everything, which lends nobody a right. The
/// rows are those of docs/http-api.md, which is compared with the table of the program: what is new there is
/// tried here by itself.
@Suite(.serialized) struct CredentialMatrixTests {
    /// What clients' connections are.
    enum Connection: String, CaseIterable { case plain, https, certificates, socket }

    private struct Request {
        var method: String
        var path: String
        var body: String?
        var permissions: Set<String>
        /// A node that does not lead has the leader do it, once it has the form of a request.
        var isForLeader: Bool
    }

    /// With each of these: what a node answers by itself, and what it sends on.
    private static let queries = [
        "execute": ["", "?queue", "?queue&wait"],
        "query": ["strong", "weak", "none"].map { "?level=\($0)&q=SELECT%201" },
        "request": ["?level=strong"],
    ]

    /// Where not everything will do that is refused for its form, once the right is there.
    private static let bodies = [
        "load": "CREATE TABLE IF NOT EXISTS u(x);",
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
                        permissions: Set(words(cells[3])).subtracting(open),
                        // Without `wait` the client hears of a queue before anybody judges.
                        isForLeader: query != "?queue" && !query.hasPrefix("?level=none")
                            && ["log", "leader", "level"].contains {
                                cells[5].components(separatedBy: " or ").contains($0)
                            })
                }
            }
        }
    }

    /// Nodes, and what speaks to them.
    private struct Place {
        let directory: TestDirectory
        let scheme: String
        let options: String
        var hasSockets = false

        /// Below /tmp, for the path of a socket must be short.
        static func socket(_ port: Int) -> String { "/tmp/rqlited-\(port)-\(getpid()).sock" }

        private func options(_ node: Daemon) -> String {
            hasSockets ? "unix-socket = \"\(Self.socket(node.httpPort))\"" : options
        }

        /// - Parameter user: nil: nobody.
        func statuses(
            _ requests: [Request], at node: Daemon, as user: String?, password: String? = nil
        ) throws -> [Int] {
            let output = try send(requests, at: node, as: user, password: password, isShown: false)
            let statuses = output.split(separator: "\n").compactMap { Int($0) }
            try #require(statuses.count == requests.count, "\(output)")
            return statuses
        }

        /// - Parameter isShown: whether the answers' bodies are returned, and not the statuses.
        func send(
            _ requests: [Request], at node: Daemon, as user: String?, password: String? = nil,
            isShown: Bool
        ) throws -> String {
            let text = requests.map { request in
                var lines = [
                    "url = \"\(scheme)://\(node.host):\(node.httpPort)\(request.path)\"",
                    request.method == "HEAD" ? "head" : "request = \(request.method)",
                    isShown
                        ? "" : "output = /dev/null\nwrite-out = \"%{http_code}\\n\"",
                    "max-time = 60", "silent", "header = \"Content-Type: application/json\"",
                    options(node),
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
            return try Program.run(["curl", "-K", file])
        }

        func leader(_ cluster: TestCluster) async throws -> Daemon {
            try await eventually("a leader", within: .seconds(60)) {
                var names: Set<String> = []
                for node in cluster.nodes {
                    let file = "\(directory.path)/question"
                    let url = "url = \"\(scheme)://\(node.host):\(node.httpPort)/status\""
                    try "\(url)\nuser = \"root:pw-root\"\nsilent\nmax-time = 5\n\(options(node))\n"
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
        _ connection: Connection, _ authority: CertificateAuthority, _ directory: TestDirectory
    ) -> (Place, arguments: [String]) {
        var options = "cacert = \"\(authority.certificate)\""
        var arguments = [
            "-http-cert", authority.server.certificate, "-http-key", authority.server.key,
        ]
        switch connection {
        case .plain: return (Place(directory: directory, scheme: "http", options: ""), [])
        case .socket:
            return (
                Place(directory: directory, scheme: "http", options: "", hasSockets: true), []
            )
        case .https: break
        case .certificates:
            options += "\ncert = \"\(authority.client.certificate)\""
            options += "\nkey = \"\(authority.client.key)\""
            arguments += ["-http-ca-cert", authority.certificate, "-http-verify-client"]
        }
        return (Place(directory: directory, scheme: "https", options: options), arguments)
    }

    /// Who has which rights: one each, all, and what one request needs.
    private static func users(_ requests: [Request]) -> [(name: String, granted: [String])] {
        let permissions = requests.reduce(into: Set(["join"])) { $0.formUnion($1.permissions) }
            .sorted()
        return permissions.map { ($0, [$0]) } + [
            ("root", ["all"]), ("both", ["execute", "query"]),
        ]
    }

    /// A file of `-auth`.
    private static func file(
        _ users: [(name: String, granted: [String])], _ name: String, in directory: TestDirectory,
        more: String? = nil
    ) throws -> String {
        let entries =
            users.map { name, permissions in
                let words = permissions.map { "\"\($0)\"" }.joined(separator: ",")
                return #"{"username":"\#(name)","password":"pw-\#(name)","perms":[\#(words)]}"#
            } + (more.map { [$0] } ?? [])
        let file = "\(directory.path)/\(name).json"
        try "[\(entries.joined(separator: ","))]"
            .write(toFile: file, atomically: true, encoding: .utf8)
        return file
    }

    @Test(.timeLimit(.minutes(15)), arguments: Connection.allCases)
    func
        `Each right opens its operations and no other, on the leader, on a follower and through it`(
            connection: Connection
        ) async throws
    {
        let requests = try Self.requests()
        try #require(requests.count > 30)
        let users = Self.users(requests)
        let directory = try TestDirectory()
        let file = try Self.file(users, "users", in: directory)
        let generous = try Self.file(
            [("root", ["all"])], "generous", in: directory,
            more: #"{"username":"*","perms":["all"]}"#)
        let authority = try CertificateAuthority()
        let (place, arguments) = place(connection, authority, directory)
        func own(_ port: Int) -> [String] {
            guard place.hasSockets else { return arguments }
            return [
                "-http-addr", "unix:\(Place.socket(port)),mode=600", "-http-adv-addr",
                "127.0.0.1:\(port)",
            ]
        }
        let common = ["-auth", file, "-auth-open", "ready", "-join-as", "root"]
        let joined = try TestCluster.joined(3)
        let cluster = joined.with { place in
            joined.nodes[place].arguments + own(joined.nodes[place].httpPort) + common
        }
        let port = try freePorts(1)[0]
        let lender = Daemon(
            id: "lender", httpPort: port, raftPort: try freePorts(1)[0], directory: directory.path,
            arguments: own(port) + [
                "-join", cluster.nodes.map { "\($0.host):\($0.raftPort)" }.joined(separator: ","),
                "-raft-non-voter", "-auth", generous, "-join-as", "root",
            ])
        defer {
            cluster.stop()
            lender.kill()
            for node in cluster.nodes + [lender] { unlink(Place.socket(node.httpPort)) }
        }
        try cluster.start()
        let leader = try await place.leader(cluster)
        let follower = try #require(cluster.nodes.first { $0.id != leader.id })
        for node in [leader, follower] {
            for (user, granted) in users.map({ ($0.name, Set($0.granted)) }) + [("", [])] {
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
        try lender.start()
        try await eventually("the generous node is there", within: .seconds(60)) {
            try place.statuses(
                [
                    Request(
                        method: "GET", path: "/readyz", body: nil, permissions: [],
                        isForLeader: false)
                ], at: lender, as: nil) == [200] ? true : nil
        }
        try lendsNobodyARight(place, lender, requests, users)
    }

    /// Everybody may do everything at this node; what it has the leader do needs the right there.
    private func lendsNobodyARight(
        _ place: Place, _ lender: Daemon, _ requests: [Request],
        _ users: [(name: String, granted: [String])]
    ) throws {
        var refused = 0
        for (user, granted) in users.map({ ($0.name, Set($0.granted)) }) + [("", [])] {
            let statuses = try place.statuses(requests, at: lender, as: user.isEmpty ? nil : user)
            for (request, status) in zip(requests, statuses) {
                let mayDo =
                    user == "root" || !request.isForLeader
                    || request.permissions.isSubset(of: granted)
                // What has not the form of a request may be refused for that, before it is sent on.
                let isRight = mayDo ? status != 401 : !(200..<300).contains(status)
                #expect(
                    isRight && status >= 200,
                    "\(user) \(status) lender \(request.method) \(request.path)")
                if status == 401 { refused += 1 }
            }
        }
        #expect(refused > 5 * users.count)
        // Who waits for a queued write hears why it was refused.
        let theft = Request(
            method: "POST", path: "/db/execute?queue&wait", body: #"["CREATE TABLE stolen(x)"]"#,
            permissions: [], isForLeader: true)
        let answer = try place.send([theft], at: lender, as: "query", isShown: true)
        #expect(answer.contains("remote Execute not authorized"), "\(answer)")
        let look = Request(
            method: "POST", path: "/db/query?level=strong",
            body: #"["SELECT count(*) FROM sqlite_master WHERE name = 'stolen'"]"#,
            permissions: [], isForLeader: true)
        let rows = try place.send([look], at: lender, as: "root", isShown: true)
        #expect(rows.contains(#""values":[[0]]"#), "\(rows)")
    }
}
