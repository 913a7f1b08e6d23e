"""5G charging: Nchf_ConvergedCharging, which network functions call over HTTP/2 or HTTP/1.1 (3GPP TS 32.291)."""
