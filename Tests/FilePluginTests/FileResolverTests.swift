import Foundation
import PluginABI
import Testing

@testable import FilePlugin
@testable import PluginSupport

/// The mode `file` without a daemon around it.
@Suite final class FileResolverTests {
    private let folder = FileManager.default.temporaryDirectory
        .appending(path: "rqd-file-\(UUID().uuidString)").path
    private var path: String { "\(folder)/peers" }

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    deinit { _ = try? FileManager.default.removeItem(atPath: folder) }

    private func resolver(_ path: String? = nil) throws -> FileResolver {
        try FileResolver(
            InstanceArguments(
                mode: "file", config: Array("{\"path\":\"\(path ?? self.path)\"}".utf8)),
            environment: { _ in nil })
    }

    private func call(seconds: UInt64) -> Call {
        Call(deadline: Call.now + seconds * 1_000_000_000, cancelDescriptor: -1)
    }

    private func write(_ text: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    @Test func `A file that is absent, a folder, a pipe or too long is told as such`() throws {
        let resolver = try resolver()
        var failure = #expect(throws: CallFailure.self) { try resolver.resolve(call(seconds: 9)) }
        #expect(failure?.code == RQD_UNAVAILABLE)
        #expect(failure?.message == "\(path) can't be read: No such file or directory")
        failure = #expect(throws: CallFailure.self) {
            try self.resolver(folder).resolve(call(seconds: 9))
        }
        #expect(failure?.message == "\(folder) is no regular file")
        #expect(mkfifo(path, 0o600) == 0)
        failure = #expect(throws: CallFailure.self) { try resolver.resolve(call(seconds: 9)) }
        #expect(failure?.message == "\(path) is no regular file")
        try FileManager.default.removeItem(atPath: path)
        try write(String(repeating: "#", count: AddressLines.mostBytes + 1))
        failure = #expect(throws: CallFailure.self) { try resolver.resolve(call(seconds: 9)) }
        #expect(failure?.code == RQD_PROTOCOL)
        try write(String(repeating: "#", count: AddressLines.mostBytes))
        #expect(try resolver.resolve(call(seconds: 9)).isEmpty)
    }

    @Test func `A wait ends with what changed, in the folder or behind a link`() async throws {
        let elsewhere = "\(folder)/elsewhere"
        try FileManager.default.createDirectory(
            atPath: elsewhere, withIntermediateDirectories: true)
        try "10.0.0.1\n".write(toFile: "\(elsewhere)/a", atomically: true, encoding: .utf8)
        try "10.0.0.2\n".write(toFile: "\(elsewhere)/b", atomically: true, encoding: .utf8)
        let target = path
        let resolver = try resolver()
        let changes: [@Sendable () throws -> Void] = [
            { try "10.0.0.7\n".write(toFile: target, atomically: true, encoding: .utf8) },
            { try "10.0.0.8\n".write(toFile: target, atomically: false, encoding: .utf8) },
            { try FileManager.default.removeItem(atPath: target) },
            {
                try FileManager.default.createSymbolicLink(
                    atPath: target, withDestinationPath: "elsewhere/a")
            },
            // In another folder, which is not watched: by a glance.
            { try "10.0.0.3\n".write(toFile: "\(elsewhere)/a", atomically: true, encoding: .utf8) },
        ]
        var token: [UInt8] = [0]
        for change in changes {
            let seen = token
            let limits = call(seconds: 60)
            async let waiting = resolver.wait(token: seen, limits)
            // Whether it happens before or after the waiting begins makes no difference.
            try change()
            let next = try #require(try await waiting)
            #expect(next != token)
            token = try resolver.settled(after: next, call(seconds: 60))
        }
        #expect(try resolver.look(call(seconds: 9)).found.map(\.host) == ["10.0.0.3"])
    }

    @Test func `A wait without a change ends with its deadline, and at once when given up`() throws
    {
        try write("10.0.0.7\n")
        let resolver = try resolver()
        let token = try resolver.look(call(seconds: 9)).token
        var failure = #expect(throws: CallFailure.self) {
            try resolver.wait(
                token: token, Call(deadline: Call.now + 50_000_000, cancelDescriptor: -1))
        }
        #expect(failure?.code == RQD_TIMEOUT)
        let pipe = Pipe()
        try pipe.fileHandleForWriting.close()
        failure = #expect(throws: CallFailure.self) {
            try resolver.wait(
                token: token,
                Call(
                    deadline: Call.now + 600_000_000_000,
                    cancelDescriptor: pipe.fileHandleForReading.fileDescriptor))
        }
        #expect(failure?.code == RQD_CANCELLED)
    }

    @Test func `A folder that doesn't exist yet is waited for`() async throws {
        let target = "\(folder)/later/peers"
        let resolver = try resolver(target)
        let limits = call(seconds: 60)
        async let waiting = resolver.wait(token: [0], limits)
        try FileManager.default.createDirectory(
            atPath: "\(folder)/later", withIntermediateDirectories: true)
        try "10.0.0.7\n".write(toFile: target, atomically: true, encoding: .utf8)
        #expect(try await waiting != nil)
    }
}

extension FileResolver {
    /// A file that is rewritten in place may be seen empty first: the state after all changes.
    fileprivate func settled(after token: [UInt8], _ call: Call) throws(CallFailure) -> [UInt8] {
        var token = token
        while true {
            do throws(CallFailure) {
                guard
                    let next = try wait(token: token, call.limited(nanoseconds: 100_000_000))
                else { return token }
                token = next
            } catch {
                guard error.code == RQD_TIMEOUT else { throw error }
                return token
            }
        }
    }
}
