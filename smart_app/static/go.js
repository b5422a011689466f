// Send the one form of this page as soon as it is there (an authorization request on its way to the EHR).
document.querySelector("form[data-go]")?.submit();
