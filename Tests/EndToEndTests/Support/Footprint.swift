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
        // What the kernel does not say is not nothing.
        func number(_ name: String) throws -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            let word = line?.split(whereSeparator: \.isWhitespace).dropFirst().first
            guard let number = word.flatMap({ Int($0) }) else {
                throw CocoaError(.fileReadCorruptFile)
            }
            return number
        }
        threads = try number("Threads")
        residentMegabytes = try number("VmRSS") / 1024
        descriptors = try FileManager.default
            .contentsOfDirectory(atPath: "/proc/\(pid)/fd").count
    }
}
