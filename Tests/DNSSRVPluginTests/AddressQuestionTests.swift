import DNSQuestions
import Foundation
import PluginABI
import PluginSupport
import PluginTesting
import Testing

/// Questions for several names at once, and for names that a search domain could complete.
@Suite struct AddressQuestionTests {
    private func call(cancelDescriptor: Int32 = -1) -> Call {
        Call(deadline: Call.now + 600_000_000_000, cancelDescriptor: cancelDescriptor)
    }

    @Test func `A silent name is not waited for until the deadline`() throws {
        let (descriptor, port) = try Loopback.silentServer()
        defer { close(descriptor) }
        let server = try NameServer(
            hosts: "10.1.0.1 n1.test\n", options: ["--server=/dead/127.0.0.1#\(port)"])
        let asked = try #require(DNSServer("127.0.0.1:\(server.port)"))
        let question = AddressQuestion(
            names: ["n3.dead.", "n1.test."], servers: [asked], patience: 1)
        let results = try question.ask(call())
        // When c-ares itself gives up, the code is another.
        let error = #expect(throws: CallFailure.self) { try results[0].get() }
        #expect(error?.code == RQD_TIMEOUT)
        #expect(try results[1].get().map(\.address) == ["10.1.0.1"])
    }

    @Test func `A cancellation ends all questions at once`() throws {
        let (descriptor, port) = try Loopback.silentServer()
        defer { close(descriptor) }
        let pipe = Pipe()
        pipe.fileHandleForWriting.write(Data([1]))
        let asked = try #require(DNSServer("127.0.0.1:\(port)"))
        let question = AddressQuestion(names: ["n1.test.", "n2.test."], servers: [asked])
        let call = call(cancelDescriptor: pipe.fileHandleForReading.fileDescriptor)
        let error = #expect(throws: CallFailure.self) { try question.ask(call) }
        #expect(error?.code == RQD_CANCELLED)
        #expect(error?.message.contains("n1.test., n2.test. to 127.0.0.1:\(port)") == true)
    }

    @Test func `A name that ends with a dot is looked for in no search domain`() async {
        // In a process of its own, for the environment is the process's. An error that leaves it
        // shows as SIGILL.
        await #expect(processExitsWith: .success) { try Self.askWithSearchDomain() }
    }

    private static func askWithSearchDomain() throws {
        setenv("LOCALDOMAIN", "search.test", 1)
        let server = try NameServer(
            hosts: "10.1.0.1 db.search.test\n",
            options: [
                "--srv-host=_rqlite._tcp.db.search.test,db.search.test,4002", "--local=/db/",
            ])
        let servers = [try #require(DNSServer("127.0.0.1:\(server.port)"))]
        let call = Call(deadline: Call.now + 20_000_000_000, cancelDescriptor: -1)

        let addresses = try AddressQuestion(names: ["db"], servers: servers).ask(call)
        #expect(try addresses[0].get().map(\.address) == ["10.1.0.1"])
        let none = try AddressQuestion(names: ["db."], servers: servers).ask(call)
        let missing = #expect(throws: CallFailure.self) { try none[0].get() }
        #expect(missing?.code == RQD_UNAVAILABLE)

        let name = "_rqlite._tcp.db"
        let records = try ServiceQuestion(name: name, servers: servers).ask(call)
        #expect(records.map(\.target) == ["db.search.test."])
        #expect(throws: CallFailure.self) {
            try ServiceQuestion(name: name + ".", servers: servers).ask(call)
        }
    }
}
