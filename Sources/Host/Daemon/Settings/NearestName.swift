/// Finds what somebody meant who mistyped a name.
enum NearestName {
    /// The known name that takes the fewest mistypings (a letter left out, put in, replaced, or two
    /// exchanged) to become `name`; the first of several. Nil if none is near: more than a third of
    /// the letters would be wrong.
    static func of(_ name: String, among known: [String]) -> String? {
        let limit = max(1, min(name.utf8.count, maxLength) / 3)
        guard name.utf8.count <= maxLength else { return nil }
        let letters = Array(name.lowercased().utf8)
        var best: (name: String, distance: Int)?
        // What is shorter or longer by more letters than may be wrong needs no table.
        for candidate in known where abs(candidate.utf8.count - letters.count) <= limit {
            let distance = distance(letters, Array(candidate.utf8))
            if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.name
    }

    /// Longer than any flag, and short enough for a table of all pairs of letters.
    private static let maxLength = 64

    /// The optimal string alignment distance.
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var rows = [Array(0...b.count)]
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                let replaced = rows[i][j] + (a[i] == b[j] ? 0 : 1)
                var least = min(replaced, rows[i][j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    least = min(least, rows[i - 1][j - 1] + 1)
                }
                row.append(least)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }
}
