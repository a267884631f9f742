import Foundation

/// What a process takes of the machine, as the kernel counts it.
struct Footprint: Sendable {
    var threads: Int
    var residentMegabytes: Int
    var descriptors: Int

    init(_ node: Daemon) throws {
        guard let pid = node.pid else { throw CocoaError(.fileNoSuchFile) }
        // Foundation takes the kernel's first piece of such a file for all of it.
        let status = try run("cat", "/proc/\(pid)/status")
        func number(_ name: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            return line?.split(whereSeparator: \.isWhitespace).dropFirst().first
                .flatMap { Int($0) } ?? 0
        }
        threads = number("Threads")
        residentMegabytes = number("VmRSS") / 1024
        descriptors = try FileManager.default
            .contentsOfDirectory(atPath: "/proc/\(pid)/fd").count
    }
}
