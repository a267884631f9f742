import Foundation
import Testing

/// A real dnsmasq on a loopback port of its own, for one test.
final class NameServer: Sendable {
    let port: UInt16
    private let process: Process
    private let hosts: String

    /// Answers for `*.test`: what `hosts` (lines of a hosts file) does not have does not exist.
    convenience init(hosts: String) throws {
        // Another program may take the port between finding and using it.
        var failure = ""
        for _ in 0..<5 {
            let port = try Loopback.freePort()
            let path = FileManager.default.temporaryDirectory
                .appending(path: "rqd-hosts-\(UUID().uuidString)").path
            try hosts.write(toFile: path, atomically: false, encoding: .utf8)
            let (process, output) = try Self.start(port, path)
            if output.contains("started, version") {
                self.init(port: port, process: process, hosts: path)
                return
            }
            failure = output
            process.waitUntilExit()
        }
        throw Failure(output: failure)
    }

    struct Failure: Error {
        let output: String
    }

    private init(port: UInt16, process: Process, hosts: String) {
        self.port = port
        self.process = process
        self.hosts = hosts
    }

    deinit {
        // It inherits the signal mask of the thread that started it, which may hold SIGTERM back.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        do { try FileManager.default.removeItem(atPath: hosts) } catch { Issue.record(error) }
    }

    /// Reads what it says until it is ready or has failed.
    private static func start(_ port: UInt16, _ hosts: String) throws -> (Process, String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
        process.arguments = [
            "dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null",
            "--port=\(port)", "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv",
            "--no-hosts", "--addn-hosts=\(hosts)", "--local=/test/", "--local-ttl=7",
            "--user=\(NSUserName())", "--group=", "--pid-file=",
        ]
        process.standardError = pipe
        process.standardOutput = pipe
        try process.run()
        var output = ""
        while !output.contains("cleared cache"), !output.contains("read ") {
            let data = pipe.fileHandleForReading.availableData
            if data.isEmpty { break }
            output += String(decoding: data, as: UTF8.self)
        }
        return (process, output)
    }
}

/// Sockets of the loopback interface.
enum Loopback {
    struct Failure: Error {}

    /// A bound UDP socket, and its port: a name server that never answers.
    static func silentServer() throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure() }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard result else {
            close(descriptor)
            throw Failure()
        }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    static func freePort() throws -> UInt16 {
        let (descriptor, port) = try silentServer()
        close(descriptor)
        return port
    }
}
