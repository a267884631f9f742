import HTTPRequests
import JSON
import PluginSupport

/// What Consul's answers say, as its pages document them: developer.hashicorp.com/consul/api-docs/kv,
/// …/api-docs/txn and …/api-docs/features/blocking.
enum ConsulAnswer {
    struct Entry {
        var key: String
        var value: [UInt8]
        var modifyIndex: UInt64
    }

    /// Why an answer is none of Consul's.
    struct Malformation: Error {
        let what: String
    }

    /// A position in Consul's log, of the header `X-Consul-Index`; never 0.
    static func index(of answer: HTTPAnswer) throws(Malformation) -> UInt64 {
        guard let index = answer.header("X-Consul-Index").flatMap({ UInt64($0) }), index > 0 else {
            throw Malformation(
                what: "no usable header X-Consul-Index: this is no answer of Consul's")
        }
        return index
    }

    /// Of an answer with status 200 to a read.
    static func entries(of answer: HTTPAnswer) throws(Malformation) -> [Entry] {
        guard let found = try document(answer).array else {
            throw Malformation(what: "not a list of entries")
        }
        return try found.map(entry)
    }

    /// Of an answer with status 200 to a transaction.
    static func results(of answer: HTTPAnswer) throws(Malformation) -> [Entry] {
        let document = try document(answer)
        guard document.members != nil, let results = document["Results"] else {
            throw Malformation(what: "not the results of a transaction")
        }
        return try (results.array ?? []).compactMap { $0["KV"] }.map(entry)
    }

    /// Of an answer with status 409 to a transaction: why operations failed.
    static func refusals(of answer: HTTPAnswer) throws(Malformation) -> [String] {
        guard let errors = try document(answer)["Errors"]?.array, !errors.isEmpty else {
            throw Malformation(what: "not the errors of a transaction")
        }
        return errors.compactMap { $0["What"]?.string }
    }

    private static func document(_ answer: HTTPAnswer) throws(Malformation) -> JSONValue {
        do {
            return try JSONValue(parsing: answer.body)
        } catch {
            throw Malformation(what: "\(error)")
        }
    }

    private static func entry(_ value: JSONValue) throws(Malformation) -> Entry {
        guard let key = value["Key"]?.string,
            case .number(let text) = value["ModifyIndex"] ?? .null, let index = UInt64(text),
            index > 0
        else { throw Malformation(what: "an entry without Key or ModifyIndex") }
        // An empty value is null.
        guard case .string(let encoded) = value["Value"] ?? .null else {
            return Entry(key: key, value: [], modifyIndex: index)
        }
        guard let bytes = Base64.decode(encoded) else {
            throw Malformation(what: "a Value that is not base64")
        }
        return Entry(key: key, value: bytes, modifyIndex: index)
    }
}
