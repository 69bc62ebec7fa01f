"""What is raised when the server refuses a request, or a stream ends with an error."""

from .generated.models import ErrorDetail


class BlockstitchError(Exception):
    """An error of the server. Match on `code`: docs/api.md lists the codes."""

    def __init__(self, status: int, detail: ErrorDetail) -> None:
        super().__init__(f"{detail.message} {detail.remedy}")
        self.status = status
        """HTTP status; 200 if a stream had begun."""
        self.code = detail.code
        self.param = detail.param
        """The field that is wrong, if there is one."""
        self.remedy = detail.remedy


class UnexpectedAnswer(Exception):
    """An answer that is not this server's: a proxy's page, or a stream that was cut."""
