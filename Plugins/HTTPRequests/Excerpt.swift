/// The beginning of a server's answer, fit for a log line: printable, short, and without secrets,
/// which some servers and proxies send back.
enum Excerpt {
    private static let considered = 4096
    private static let shown = 200

    static func make(of body: [UInt8], without secrets: [String]) -> String {
        var bytes = Array(body.prefix(considered))
        for secret in secrets where !secret.isEmpty {
            bytes = replace(Array(secret.utf8), in: bytes, by: Array("***".utf8))
        }
        let printable = bytes.map { (0x21...0x7E).contains($0) ? $0 : 0x20 }
        let words = Array(printable.split(separator: 0x20).joined(separator: [0x20]))
        return String(decoding: words.prefix(shown), as: UTF8.self)
            + (words.count > shown ? " …" : "")
    }

    private static func replace(
        _ needle: [UInt8], in bytes: [UInt8], by replacement: [UInt8]
    ) -> [UInt8] {
        var output: [UInt8] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            if rest.starts(with: needle) {
                output += replacement
                rest = rest.dropFirst(needle.count)
            } else {
                output.append(rest.removeFirst())
            }
        }
        return output
    }
}
