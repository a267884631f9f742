import Foundation

/// The machine's own Debian package index: real names, versions, long texts, Unicode.
struct PackageIndex: Sendable {
    struct Row: Sendable {
        var name: String
        var version: String
        var section: String
        var maintainer: String
        var size: Int
        var description: String
    }

    var rows: [Row]

    static func load() throws -> PackageIndex {
        let text = try run("apt-cache", "dumpavail")
        var rows: [Row] = []
        for record in text.components(separatedBy: "\n\n") where !record.isEmpty {
            var fields: [String: String] = [:]
            var current = ""
            for line in record.split(separator: "\n") {
                if line.hasPrefix(" ") {
                    fields[current, default: ""] += "\n" + line.dropFirst()
                } else if let colon = line.firstIndex(of: ":") {
                    current = String(line[..<colon])
                    fields[current] =
                        line[line.index(after: colon)...].drop { $0 == " " }.description
                }
            }
            guard let name = fields["Package"] else { continue }
            rows.append(
                Row(
                    name: name, version: fields["Version"] ?? "",
                    section: fields["Section"] ?? "", maintainer: fields["Maintainer"] ?? "",
                    size: Int(fields["Installed-Size"] ?? "") ?? 0,
                    description: fields["Description"] ?? fields["Description-en"] ?? ""))
        }
        return PackageIndex(rows: rows)
    }
}
