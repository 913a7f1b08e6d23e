"""What banks read and write: payment orders on their way out, reports and statements on their way back."""
