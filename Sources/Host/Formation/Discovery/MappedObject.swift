import CPlatform
import Glibc

/// The file that stands behind a piece of this process's memory, as the kernel says.
///
///     /proc/self/maps: 7f01c000-7f01d000 r-xp 00001000 08:01 131 /path
///                      begin    end      mode offset   dev   inode
struct MappedObject: Equatable {
    /// As `st_dev` has it, where the file system shows one number to both.
    let device: UInt64
    let inode: UInt64

    /// Nil if the kernel doesn't tell, as where /proc is not mounted.
    init?(holding address: UInt) {
        guard let file = fopen("/proc/self/maps", "re") else { return nil }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var room = 0
        defer { free(line) }
        while getline(&line, &room, file) > 0 {
            guard let line, let found = Self(line: String(cString: line), holding: address) else {
                continue
            }
            self = found
            return
        }
        return nil
    }

    /// Nil if the line is of other memory.
    init?(line: String, holding address: UInt) {
        let fields = line.split(separator: " ", omittingEmptySubsequences: true)
        guard fields.count > 4 else { return nil }
        let range = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        let numbers = fields[3].split(separator: ":").compactMap { UInt32($0, radix: 16) }
        guard range.count == 2, numbers.count == 2, (range[0]..<range[1]).contains(address),
            let inode = UInt64(fields[4])
        else { return nil }
        device = cplatform_device(numbers[0], numbers[1])
        self.inode = inode
    }

    /// That it is the file that was checked. On file systems that show a file under numbers of its
    /// own (overlayfs, btrfs) the two can't be compared; there the file's numbers before and after
    /// loading must do.
    func check(_ file: PluginFile) throws(PluginRefusal) {
        guard self != MappedObject(file.identity), cplatform_shows_one_number(file.path) != 0
        else { return }
        throw .notLoadable(
            "what was loaded is another file than the one that was checked: it was replaced "
                + "meanwhile, or overwritten since it was loaded first; start again")
    }

    private init(_ identity: PluginFile.Identity) {
        device = identity.device
        inode = identity.inode
    }
}
