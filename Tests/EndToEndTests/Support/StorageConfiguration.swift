import Foundation
import JSON

/// What the files of `-auto-backup` and `-auto-restore` hold.
enum StorageConfiguration {
    /// - Parameter more: members beside those that every file has.
    static func of(
        _ type: String, _ sub: [JSONValue.Member], _ more: [JSONValue.Member] = []
    ) -> JSONValue {
        .object(
            [.init("version", 1), .init("type", .string(type)), .init("sub", .object(sub))] + more)
    }
}

extension TestDirectory {
    /// - Returns: the file's path.
    func write(_ name: String, _ document: JSONValue) throws -> String {
        let file = "\(path)/\(name)"
        try Data(document.text().utf8).write(to: URL(filePath: file))
        return file
    }
}
