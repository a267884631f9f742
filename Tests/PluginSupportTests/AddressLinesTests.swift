import PluginABI
import Testing

@testable import PluginSupport

/// Addresses as the modes `file` and `exec` read them.
@Suite struct AddressLinesTests {
    private func parse(_ text: String, port: UInt16 = 0) throws(CallFailure) -> [String] {
        try AddressLines.parse(Array(text.utf8), origin: "/peers", port: port)
            .map { "\($0.host) \($0.port)" }
    }

    @Test func `Every form of an address is understood`() throws {
        let text = "# peers\n10.0.0.7\n\tnode-1:4003 # one\r\n\n[2001:db8::7]:1\n[::1]\n2001:db8::8"
        #expect(
            try parse(text) == [
                "10.0.0.7 0", "node-1 4003", "2001:db8::7 1", "::1 0", "2001:db8::8 0",
            ])
        #expect(try parse("a\nb:7\n", port: 4002) == ["a 4002", "b 7"])
        #expect(try parse("") == [])
        #expect(try parse("\n#\n \r\n") == [])
    }

    @Test(arguments: [
        "a:", "a:0", "a:70000", "a:1x", "a:+7", ":7", "[::1", "[::1]x", "[::1]:", "[]", "[a]:7",
        "a b", "a,b", "http://a:7", "a/b", "{\"a\": 1}", "ä:7", "a\u{0}b", "a:۷",
    ])
    func `A line that is no address is named by its number`(_ line: String) {
        let error = #expect(throws: CallFailure.self) { try parse("10.0.0.7\n\(line)\n") }
        #expect(error?.code == RQD_PROTOCOL)
        let message = error?.message ?? ""
        #expect(message.hasPrefix("line 2 of /peers is \""), "\(message)")
    }

    @Test func `What an error quotes is short and breaks no line of the log`() {
        let line = "\u{1B}[31m" + String(repeating: "x ", count: 5_000)
        let error = #expect(throws: CallFailure.self) { try parse(line) }
        #expect(error?.message.utf8.count ?? 1_000 < 200)
        #expect(error?.message.contains("\u{1B}") == false)
    }

    @Test func `Bytes that are no text are refused`() {
        let error = #expect(throws: CallFailure.self) {
            try AddressLines.parse([0x61, 0xFF, 0x0A], origin: "/peers", port: 0)
        }
        #expect(error == CallFailure(RQD_PROTOCOL, "/peers is no UTF-8 text"))
    }

    @Test func `A state's token follows its content`() {
        #expect(StateToken.of([1, 2]) == StateToken.of([1, 2]))
        #expect(StateToken.of([1, 2]) != StateToken.of([2, 1]))
        #expect(StateToken.of([]).count == 8)
    }
}
