import CCares
import Testing

@testable import DNSQuestions

/// Names that are looked for in search domains, some of whose servers fail, are slow, or silent.
@Suite struct NameSearchTests {
    /// A question that a test answers.
    private final class Question: NameQuestion {
        let name: String
        var isComplete = false
        var hasData = false
        var status: CInt = ARES_ECANCELLED

        init(_ name: String) { self.name = name }

        func end(_ status: CInt) {
            isComplete = true
            hasData = status == ARES_SUCCESS
            self.status = status
        }
    }

    private final class Questions {
        var asked: [Question] = []
        var names: [String] { asked.map(\.name) }

        func ask(_ name: String) -> Question {
            let question = Question(name)
            asked.append(question)
            return question
        }
    }

    private let questions = Questions()
    private let second: UInt64 = 1_000_000_000

    private func search(_ name: String, dots: Int = 5) -> NameSearch<Question> {
        NameSearch(
            SearchOrder(name, in: SearchList(domains: ["a.x", "b.x"], dots: dots)),
            patience: 4 * second
        ) { [questions] in questions.ask($0) }
    }

    @Test func `The order of names is that of resolv.conf`() {
        let list = SearchList(
            parsing:
                "nameserver 10.0.0.1\ndomain old.x\nsearch a.x  b.x. a.x\noptions ndots:2 rotate\n",
            hostName: "node.home.x", environment: { _ in nil })
        #expect(list == SearchList(domains: ["a.x", "b.x"], dots: 2))
        #expect(SearchOrder("svc", in: list).names == ["svc.a.x", "svc.b.x", "svc"])
        #expect(SearchOrder("svc", in: list).absolute == 2)
        #expect(SearchOrder("n.svc.test", in: list).names.first == "n.svc.test")
        #expect(SearchOrder("svc.", in: list).names == ["svc"])
        let plain = SearchList(parsing: "", hostName: "node.home.x", environment: { _ in nil })
        #expect(plain == SearchList(domains: ["home.x"]))
        let local = SearchList(parsing: "search a.x", hostName: "") { name in
            ["LOCALDOMAIN": "c.x d.x", "RES_OPTIONS": "ndots:0"][name]
        }
        #expect(local == SearchList(domains: ["c.x", "d.x"], dots: 0))
    }

    @Test(arguments: [
        ARES_ENOTFOUND, ARES_ENODATA, ARES_ESERVFAIL, ARES_EREFUSED, ARES_ECONNREFUSED,
    ])
    func `A domain that knows nothing, or whose servers fail, is passed over`(
        status: CInt
    ) {
        let search = search("svc")
        search.advance(0)
        #expect(questions.names == ["svc.a.x"])
        questions.asked[0].end(status)
        search.advance(1)
        #expect(questions.names == ["svc.a.x", "svc.b.x"])
        questions.asked[1].end(ARES_SUCCESS)
        search.advance(2)
        #expect(search.isOver && search.best === questions.asked[1])
    }

    @Test func `A domain that is silent holds the name itself up for four seconds`() {
        let search = search("svc")
        search.advance(0)
        search.advance(second)
        #expect(questions.names == ["svc.a.x"])
        search.advance(2 * second)
        #expect(questions.names == ["svc.a.x", "svc"])
        questions.asked[1].end(ARES_SUCCESS)
        search.advance(3 * second)
        #expect(!search.isOver)
        search.advance(4 * second)
        #expect(search.isOver && search.best === questions.asked[1])
    }

    @Test func `A slow domain counts before the name itself, whenever it answers in time`() {
        let search = search("svc")
        search.advance(0)
        search.advance(2 * second)
        questions.asked[1].end(ARES_SUCCESS)
        questions.asked[0].end(ARES_SUCCESS)
        search.advance(3 * second)
        #expect(search.isOver && search.best === questions.asked[0])
    }

    @Test func `No further domain is asked for what a silent one may know`() {
        let search = search("svc")
        search.advance(0)
        questions.asked[0].end(ARES_ETIMEOUT)
        search.advance(11 * second)
        #expect(questions.names == ["svc.a.x", "svc"])
        questions.asked[1].end(ARES_ENOTFOUND)
        search.advance(12 * second)
        #expect(search.isOver && search.best == nil)
        #expect(search.status == ARES_ETIMEOUT)
    }

    @Test func `Half of an answer counts when the other half does not come`() {
        let search = search("svc.test", dots: 1)
        search.advance(0)
        questions.asked[0].hasData = true
        search.advance(second)
        search.advance(3 * second)
        #expect(!search.isOver)
        search.advance(4 * second)
        #expect(search.isOver && search.best === questions.asked[0])
        #expect(questions.names == ["svc.test"])
    }

    @Test func `Where servers are slow the second half of an answer may be late, too`() {
        let search = search("svc.test", dots: 1)
        search.advance(0)
        search.advance(5 * second)
        questions.asked[0].hasData = true
        search.advance(6 * second)
        search.advance(8 * second)
        #expect(!search.isOver)
        search.advance(9 * second)
        #expect(search.isOver && search.best === questions.asked[0])
    }

    @Test func `What no server knows is told as that, and a failure before it`() {
        let search = search("svc.test", dots: 1)
        search.advance(0)
        questions.asked[0].end(ARES_ENOTFOUND)
        search.advance(1)
        questions.asked[1].end(ARES_ESERVFAIL)
        search.advance(2)
        questions.asked[2].end(ARES_ENODATA)
        search.advance(3)
        #expect(search.isOver && search.best == nil)
        #expect(search.status == ARES_ESERVFAIL)
    }
}
