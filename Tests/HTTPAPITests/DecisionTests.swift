import Service
import Testing
import Wire

@testable import HTTPAPI

/// What operators decide for the whole cluster, over HTTP.
@Suite struct DecisionTests {
    private static let limits = WriteLimits(
        steps: 20_000, growth: 1 << 20, database: .max, temporary: 1 << 21)

    @Test func `The limits are shown, and shown after a change, whole`() throws {
        let client = try Client(answering: .limits(Self.limits))
        let text =
            #"{"steps":20000,"growth":1048576,"database":18446744073709551615,"temporary":2097152}"#
        let shown = try client.request("GET", "/db/limits")
        #expect(shown.status == 200)
        #expect(shown.body == text)
        let changed = try client.request("PUT", "/db/limits", body: #"{"steps":20000}"#)
        #expect(changed.status == 200)
        #expect(changed.body == text)
    }

    @Test(arguments: [
        ("", "a JSON object"), ("[]", "a JSON object"), ("{}", "a JSON object"),
        (#"{"speed":1}"#, "there is no limit \"speed\""),
        (#"{"steps":9999}"#, "steps must be a whole number from 10000 to"),
        (#"{"steps":-1}"#, "steps must be"), (#"{"steps":1e9}"#, "steps must be"),
        (#"{"growth":"1"}"#, "growth must be"), (#"{"growth":null}"#, "growth must be"),
        (#"{"database":18446744073709551616}"#, "database must be"),
    ])
    func `A change of limits that names none, or one too small, changes nothing`(
        body: String, text: String
    ) throws {
        let node = FakeNode { _ in .limits(Self.limits) }
        let client = try Client(node)
        let answer = try client.request("PUT", "/db/limits", body: body)
        #expect(answer.status == 400)
        #expect(answer.body.hasPrefix(text))
        #expect(node.requests.isEmpty)
    }

    @Test func `A skip names index and hash; a place in the entry is none of a client's business`()
        throws
    {
        let node = FakeNode { _ in .done }
        let client = try Client(node)
        for body in [
            "", "{}", #"{"index":1}"#, #"{"hash":1}"#, #"{"index":-1,"hash":1}"#,
            #"{"index":1,"hash":4294967296}"#,
        ] {
            #expect(
                try client.request("POST", "/cluster/apply/skip", body: body).status == 400,
                "\(body)")
        }
        #expect(node.requests.isEmpty)
        let body = #"{"index":7,"hash":4294967295,"text":3,"offset":9,"isChecked":true}"#
        #expect(try client.request("POST", "/cluster/apply/skip", body: body).status == 200)
        guard case .applyDecision(let decision)? = node.requests.first?.operation else {
            Issue.record("no decision was asked for")
            return
        }
        #expect(decision == .skip(EntrySkip(index: 7, hash: .max), isChecked: false))
    }

    @Test func `A decision that does not fit is a conflict, and says why`() throws {
        let client = try Client(answering: .failed(.unsuitable("nothing to try again")))
        for path in ["/cluster/apply/retry", "/cluster/apply/skip"] {
            let answer = try client.request("POST", path, body: #"{"index":7,"hash":1}"#)
            #expect(answer.status == 409)
            #expect(answer.body == "nothing to try again\n")
        }
    }
}
