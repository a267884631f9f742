import JSON
import Testing

/// Trees: what is read is written back, as rqlite writes it.
@Suite struct JSONValueTests {
    @Test func `A document survives reading and writing`() throws {
        let text = #"{"b":[1,2.50,-0,1e400],"a":{"x":null,"y":true},"":"é","a":false}"#
        let value = try JSONValue(parsing: text)
        #expect(value.text() == text)
        #expect(try JSONValue(parsing: value.text(pretty: true)) == value)
        #expect(value["a"] == false)
        #expect(value["b"]?.array?.first?.integer == 1)
        #expect(value["missing"] == nil)
    }

    @Test func `The pretty form indents by four spaces and keeps empty containers closed`() {
        let value: JSONValue = ["a": [1, ["b": []]], "c": [:]]
        #expect(
            value.text(pretty: true) == """
                {
                    "a": [
                        1,
                        {
                            "b": []
                        }
                    ],
                    "c": {}
                }
                """)
    }

    @Test func `Strings are escaped as rqlite does`() {
        let value = JSONValue.string(
            "\"\\/\u{8}\u{C}\n\r\t\u{0}\u{1F}<>&\u{2028}\u{2029}\u{2027}é\u{7F}")
        #expect(
            value.text()
                == #""\"\\/\b\f\n\r\t\u0000\u001f\u003c\u003e\u0026\u2028\u2029"#
                + "\u{2027}é\u{7F}\"")
    }

    @Test(arguments: [
        (0.0, "0"), (-0.0, "-0"), (678.0, "678"), (1.5, "1.5"), (-0.25, "-0.25"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"), (1.5e-9, "1.5e-9"), (1e20, "100000000000000000000"), (1e21, "1e+21"),
        (1.25e22, "1.25e+22"), (123456789.125, "123456789.125"), (.leastNonzeroMagnitude, "5e-324"),
        (1e15, "1000000000000000"), (9007199254740993.0, "9007199254740992"),
        (1.7976931348623157e308, "1.7976931348623157e+308"), (0.1, "0.1"),
        (12345678901234567890.0, "12345678901234567000"),
    ])
    func `Doubles are written in their shortest form`(_ value: Double, _ text: String) throws {
        #expect(JSONValue.double(value).text() == text)
        #expect(Double(text) == value)
    }

    @Test func `Infinities become null`() {
        #expect(JSONValue.double(.infinity) == .null)
        #expect(JSONValue.double(.nan) == .null)
    }
}
