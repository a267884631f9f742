import Foundation

/// Real nodes for the nemesis: each in a network namespace and on a small disk of its own, with a switch
/// that lets its writes hang.
final class NemesisSite: Sendable {
    let network: NodeNetwork
    let cluster: TestCluster
    let shim: StallShim
    /// One more node, which joins the others when it is started; no part of the cluster at first.
    let guest: Daemon?
    private let directory: TestDirectory
    private let disks: [String]

    static var hindrance: String? { NodeNetwork.hindrance ?? PoisonShim.hindrance }

    /// - Parameters:
    ///   - count: of nodes; three or five.
    ///   - megabytes: room on each disk.
    ///   - hasGuest: with one more node that is to join.
    ///   - arguments: of every node, beside what forms the cluster.
    ///   - executable: the daemon.
    init(
        nodes count: Int, megabytes: Int = 192, hasGuest: Bool = false, arguments: [String] = [],
        executable: String = "\(Daemon.binaries)/rqlited"
    ) throws {
        let directory = try TestDirectory()
        let places = hasGuest ? count + 1 : count
        let disks = (0..<places).map { "\(directory.path)/disk-\($0 + 1)" }
        let network = try NodeNetwork(nodes: places, mounts: disks)
        let shim = try StallShim(nodes: places)
        for disk in disks {
            try FileManager.default.createDirectory(
                atPath: disk, withIntermediateDirectories: true)
            try run("mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", disk)
        }
        let list = (0..<count).map { "\(network.address($0)):4002" }.joined(separator: ",")
        let nodes = (0..<places).map { node in
            Daemon(
                id: "\(node + 1)", host: network.address(node), httpPort: 4001, raftPort: 4002,
                directory: disks[node],
                arguments: (node < count ? ["-bootstrap-expect", "\(count)"] : []) + [
                    "-join", list,
                ]
                    + arguments,
                prefix: network.prefix(node) + shim.prefix(node), executable: executable)
        }
        self.directory = directory
        self.disks = disks
        self.network = network
        self.shim = shim
        guest = hasGuest ? nodes.last : nil
        cluster = TestCluster(Array(nodes.prefix(count)), in: directory)
    }

    deinit {
        cluster.stop()
        guest?.kill()
        for disk in disks {
            do { try run("umount", "-l", disk) } catch {
                FileHandle.standardError.write(Data("left behind: \(disk): \(error)\n".utf8))
            }
        }
    }

    /// Takes all room of the node's disk but about a number of bytes, in pieces, for the node takes some
    /// at the same time.
    func fill(_ node: Int, sparing spare: Int) throws {
        let script = """
            spare=$2 piece=$((16 << 20)) size=0
            while [ $piece -ge 65536 ]; do
                free=$(($(stat -f -c '%a * %S' "$1")))
                if [ $free -ge $((spare + piece)) ] &&
                    fallocate -o $size -l $piece "$1/filling" 2>/dev/null
                then size=$((size + piece)); else piece=$((piece / 2)); fi
            done
            """
        try run("sh", "-c", script, "sh", disks[node], "\(spare)")
    }

    func makeRoom(_ node: Int) throws {
        try run("rm", "-f", "\(disks[node])/filling")
    }
}
