import NomadPlugin
public import PluginABI

/// What the host reads from the file before it loads it: the mode `nomad`, a resolver. The layout is
/// explained in rqlite_disco.h; the words spell "rqdisco" and "nomad".
@used @section(".note.rqdisco")
let note:
    (
        UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32,
        UInt32,
        UInt32, UInt32, UInt32, UInt32, UInt32, UInt32
    ) = (
        8, 52, 1, 0x6964_7172, 0x006f_6373, 1, 1, 0, 1, 0x616d_6f6e, 0x0000_0064, 0, 0, 0, 0, 0, 0,
        0
    )

/// The one exported symbol.
@c(rqlite_disco_entry)
public func entry(_ hostMajor: UInt32, _ hostMinor: UInt32) -> UnsafePointer<rqd_plugin>? {
    hostMajor == RQD_ABI_MAJOR ? NomadPlugin.descriptor() : nil
}
