// The shared library that torch.ops.load_library takes: all of it comes from fovea_attention, whose registrations run when it is loaded.
