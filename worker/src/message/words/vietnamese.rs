//! Vietnamese.

use super::{NoticeWords, Unit, VerificationWords, Words};

pub(super) const WORDS: Words = Words {
    hello: "Xin chào {{full_name}},",
    verification: VerificationWords {
        subject: "Xác minh địa chỉ email của bạn",
        intro: "cảm ơn bạn đã đăng ký. Vui lòng mở trang này và xác nhận địa chỉ email này là của bạn:",
        button: "Xác minh địa chỉ email của tôi",
        digits: "Để xác nhận trên thiết bị khác, hãy mở trang bên dưới trên thiết bị đó, rồi nhập tên người dùng \
                 {{username}} và mã này:",
        expiry: "Liên kết và mã có hiệu lực trong {{expires_in}}. Tên người dùng của bạn là {{username}}.",
        way_out: "Nếu bạn không đăng ký, bạn không cần làm gì: nếu không được xác nhận, địa chỉ này sẽ không được sử \
                  dụng.",
    },
    notice: NoticeWords {
        subject: "Bạn đã có tài khoản",
        somebody: "có người đã đăng ký bằng địa chỉ email này, nhưng địa chỉ đã có tài khoản. Tên người dùng của tài \
                   khoản là {{username}}.",
        you: "Nếu đó là bạn, hãy dùng tài khoản đó: đăng nhập bằng tên người dùng ở trên. Không có tài khoản thứ hai \
              nào được tạo cho địa chỉ này.",
        others: "Nếu đó là người khác, bạn không cần làm gì. Họ không được cho biết rằng địa chỉ này có tài khoản và \
                 không thể sử dụng nó.",
        seldom: "Dù việc này xảy ra bao nhiêu lần, chúng tôi chỉ viết cho bạn nhiều nhất mỗi ngày một lần.",
    },
    counted: |count, unit| {
        let noun = match unit {
            Unit::Hour => "giờ",
            Unit::Minute => "phút",
            Unit::Second => "giây",
        };
        format!("{count} {noun}")
    },
};
