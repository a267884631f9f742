import MDNSPlugin
public import PluginABI

/// What the host reads from the file before it loads it: the mode `mdns`, a resolver. The layout is
/// explained in rqlite_disco.h; the words spell "rqdisco" and "mdns".
@used @section(".note.rqdisco")
let note:
    (
        UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32,
        UInt32,
        UInt32, UInt32, UInt32, UInt32, UInt32, UInt32
    ) = (
        8, 52, 1, 0x6964_7172, 0x006f_6373, 1, 1, 0, 1, 0x736e_646d, 0, 0, 0, 0, 0, 0, 0, 0
    )

/// The one exported symbol.
@c(rqlite_disco_entry)
public func entry(_ hostMajor: UInt32, _ hostMinor: UInt32) -> UnsafePointer<rqd_plugin>? {
    hostMajor == RQD_ABI_MAJOR ? MDNSPlugin.descriptor() : nil
}
