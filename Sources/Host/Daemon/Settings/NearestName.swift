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
            if let distance = distance(letters, Array(candidate.utf8), limit: limit),
                distance < best?.distance ?? .max
            {
                best = (candidate, distance)
            }
        }
        return best?.name
    }

    /// Longer than any flag, and short enough for a table of all pairs of letters.
    private static let maxLength = 64

    /// The optimal string alignment distance; nil if it is more than `limit`.
    private static func distance(_ a: [UInt8], _ b: [UInt8], limit: Int) -> Int? {
        var row = Array(0...b.count)
        var above = row
        for i in a.indices {
            let twoAbove = above
            above = row
            row[0] = i + 1
            for j in b.indices {
                let replaced = above[j] + (a[i] == b[j] ? 0 : 1)
                row[j + 1] = min(replaced, above[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    row[j + 1] = min(row[j + 1], twoAbove[j - 1] + 1)
                }
            }
            // No later row gets below both of these.
            if row.allSatisfy({ $0 > limit }), above.allSatisfy({ $0 > limit }) { return nil }
        }
        return row[b.count] <= limit ? row[b.count] : nil
    }
}
